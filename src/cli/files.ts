/** Reading pages and captures, writing results. Throws {@link FileError} in the system's words. */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { CaptureWindow } from "../scenario/capture-window.ts";
import { type LoadedPage, loadPage } from "../scenario/run-page.ts";
import { FileError } from "./failure.ts";

const WORDS: Record<string, string> = {
  ENOENT: "No such file or directory",
  EACCES: "Permission denied",
  EISDIR: "Is a directory",
  ENOTDIR: "Not a directory",
  EEXIST: "File exists",
  EPERM: "Operation not permitted",
  ENOSPC: "No space left on device",
  EROFS: "Read-only file system",
};

function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === undefined) throw error;
    throw new FileError(`${path}: ${WORDS[code] ?? code}`);
  }
}

export const readBytes = (path: string): Uint8Array => attempt(path, () => readFileSync(path));
export const readText = (path: string): string => attempt(path, () => readFileSync(path, "utf8"));

/** Reads and checks a page; the files that it names stand relative to it. */
export function readPage(file: string, seed: number | null): LoadedPage {
  const beside = (name: string) => {
    const path = resolve(dirname(file), name);
    return existsSync(path) ? readText(path) : null;
  };
  return loadPage(file, readText(file), seed, beside);
}

export function writeFile(path: string, content: string | Uint8Array): void {
  attempt(path, () => writeFileSync(path, content));
}

/** Makes a folder and those above it, one by one: Node.js's own way never ends where a file system refuses folders. */
function makeFolder(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
  const above = dirname(path);
  if (above !== path) makeFolder(above);
  mkdirSync(path);
}

/** Writes `DIR/NAME/…` of a window, in place of what a former run left there; returns the number of files. */
export function writeWindow(folder: string, window: CaptureWindow): number {
  const target = join(folder, window.name);
  attempt(target, () => {
    rmSync(target, { recursive: true, force: true });
    makeFolder(target);
  });
  const files = window.files();
  for (const { name, interfaceId } of files) writeFile(join(target, name), window.recorder.pcap(interfaceId));
  writeFile(join(target, "all.pcapng"), window.pcapng());
  return files.length + 1;
}
