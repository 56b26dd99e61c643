// The camera, and the reading of QR codes in its picture.

export interface Scan {
  stop(): void;
}

const PAUSE_MS = 120;
/** Pixels; a larger picture only takes longer. */
const MAX_SIDE = 800;

type Read = (source: ImageData) => string | null;

/** Calls `found` for every text that is read, until it answers true. */
export async function scan(video: HTMLVideoElement, found: (text: string) => boolean): Promise<Scan> {
  const stream = await navigator.mediaDevices.getUserMedia({
    video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } },
    audio: false,
  });
  let stopped = false;
  let timer = 0;
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  };
  try {
    // Loaded only here: most starts of the app need no reader.
    const { default: jsQR } = await import("jsqr");
    const read: Read = (image) => jsQR(image.data, image.width, image.height, { inversionAttempts: "dontInvert" })?.data || null;
    video.muted = true;
    video.srcObject = stream;
    await video.play();
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (!context) throw new Error("no canvas");
    const look = () => {
      if (stopped) return;
      const scale = Math.min(1, MAX_SIDE / Math.max(video.videoWidth, video.videoHeight));
      const [width, height] = [Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale)];
      if (width > 0 && height > 0) {
        canvas.width = width;
        canvas.height = height;
        context.drawImage(video, 0, 0, width, height);
        const text = read(context.getImageData(0, 0, width, height));
        if (text && found(text)) return stop();
      }
      timer = window.setTimeout(look, PAUSE_MS);
    };
    look();
    return { stop };
  } catch (error) {
    stop();
    throw error;
  }
}
