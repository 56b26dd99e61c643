// Out of sight for a minute: the keys are dropped.

export const OUT_OF_SIGHT_MS = 60_000;

/**
 * Calls `drop` when the page has been hidden for a minute. A hidden page's timers may sleep, so the
 * time is looked at again when it comes back, before anything is shown. The steady clock may stand
 * still while the device sleeps and the other one may be set back: the one that went further counts.
 */
export function guardSight(drop: () => void): void {
  let timer = 0;
  let since: { wall: number; steady: number } | null = null;
  const away = () => {
    if (since) return;
    since = { wall: Date.now(), steady: performance.now() };
    timer = window.setTimeout(drop, OUT_OF_SIGHT_MS);
  };
  const back = () => {
    clearTimeout(timer);
    if (!since) return;
    const gone = Math.max(Date.now() - since.wall, performance.now() - since.steady);
    since = null;
    if (gone >= OUT_OF_SIGHT_MS) drop();
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? away() : back()));
  addEventListener("pagehide", away);
  addEventListener("pageshow", () => { if (!document.hidden) back(); });
  if (document.hidden) away();
}
