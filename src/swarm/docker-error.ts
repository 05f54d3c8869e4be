/** A refusal of the engine: `docker` prints `Error response from daemon: ` and this. */
export class DockerError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "DockerError";
  }
}
