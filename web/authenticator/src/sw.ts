/// <reference lib="webworker" />
// Keeps the app's own files, so that it opens with no network. Nothing else goes through here: what
// isn't on the list is left to the browser as if there were no worker, the API above all.

export {};
declare const self: ServiceWorkerGlobalScope;

/** Put in by the build: the files (the empty name is the page itself), and a hash over all their bytes. */
const PRECACHE: { readonly version: string; readonly files: readonly string[] } = JSON.parse("__PRECACHE__");

const PREFIX = "authenticator-";
const CACHE = PREFIX + PRECACHE.version;
const BASE = "/authenticator/";
const FILES = new Set(PRECACHE.files.map((file) => BASE + file));

async function install(): Promise<void> {
  const cache = await caches.open(CACHE);
  // All or nothing, and past the browser's own cache: a mix of two versions must not be kept.
  await cache.addAll([...FILES].map((file) => new Request(file, { cache: "reload" })));
}

async function removeOld(): Promise<void> {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
  }
}

async function answer(path: string, request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  // The browser may have thrown the cache away; then the network is better than nothing.
  return (await cache.match(path)) ?? fetch(request);
}

// No skipWaiting: a new version waits until no window shows the old one, that is, until the app is
// opened the next time. So the parts of one start are always of one version.
self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(removeOld()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  // Whatever stands after "?" in the address, the page is the same.
  if (FILES.has(url.pathname)) event.respondWith(answer(url.pathname, request));
});
