/** What is wrong with a capture file, and where: the one error of this folder's readers. */
export class CaptureError extends Error {
  /** Name of the file as the caller knows it. */
  readonly file: string;
  /** First byte that does not make sense. */
  readonly byteOffset: number;
  readonly what: string;

  constructor(file: string, byteOffset: number, what: string) {
    super(`${file}: byte ${byteOffset}: ${what}`);
    this.name = "CaptureError";
    this.file = file;
    this.byteOffset = byteOffset;
    this.what = what;
  }
}
