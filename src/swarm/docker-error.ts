/** The engine knows no such object (status 404): the client has words of its own for that. */
export class NoSuchObjectError extends Error {
  constructor(
    object: "network" | "service" | "node" | "volume" | "image" | "container:path",
    reference: string,
  ) {
    super(`No such ${object}: ${reference}`);
    this.name = "NoSuchObjectError";
  }
}

/** A refusal of the engine: `docker` prints `Error response from daemon: ` and this. */
export class DockerError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "DockerError";
  }
}
