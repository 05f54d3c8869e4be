/**
 * How a node gets into a swarm (swarmkit ca/certificates.go, node/node.go): it asks a manager for the root certificate,
 * compares it with the token, and has a certificate of its own issued.
 */
import { type Co, sleep } from "../host/process.ts";
import { SysError } from "../util/errors.ts";
import { formatIp4 } from "../wire/address.ts";
import type { Daemon } from "./daemon.ts";
import { DockerError } from "./docker-error.ts";
import type { NodeDescription } from "./manager/cluster.ts";
import type { Certificate, ManagerPort } from "./manager/manager-port.ts";
import type { Availability } from "./manager/objects.ts";
import { JOIN_TIMEOUT, NO_JOIN_TOKEN } from "./swarm-errors.ts";
import type { Meanings } from "./wire/meanings.ts";
import { dialStream, type StreamEnd } from "./wire/secure-stream.ts";

const JOIN_TIMEOUT_NS = 20_000_000_000;
const ROOT_CA_TRIES = 5;
const RETRY_NS = 2_000_000_000;
/** Sizes of the messages on the wire: question, answer. */
const HELLO = [248, 1027] as const;
const HELLO_NAMED = [265, 1028] as const;
const FINISHED = [171, 68] as const;
const ROOT_CA = [160, 675] as const;
const ISSUE = [571, 151] as const;
const STATUS = [171, 1285] as const;

export interface JoinRequest {
  /** int32 */
  readonly remote: number;
  readonly port: number;
  readonly token: string;
  readonly description: NodeDescription;
  readonly availability: Availability;
}

/** The node's certificate. Throws what `docker swarm join` says when there is none within 20 s. */
export function* obtainCertificate(
  daemon: Daemon,
  meanings: Meanings,
  request: JoinRequest,
): Co<Certificate> {
  const { sim } = daemon.machine.kernel;
  const deadline = sim.now + JOIN_TIMEOUT_NS;
  let refusal = "";
  for (let i = 0; i < ROOT_CA_TRIES && sim.now < deadline; i++) {
    try {
      yield* fetchRoot(daemon, meanings, request, deadline);
      return yield* issue(daemon, meanings, request, deadline);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      refusal = unavailable(request, error);
    }
    yield* sleep(Math.min(RETRY_NS, Math.max(0, deadline - sim.now)));
  }
  throw new DockerError(refusal !== "" && sim.now < deadline ? refusal : JOIN_TIMEOUT);
}

function* fetchRoot(daemon: Daemon, meanings: Meanings, request: JoinRequest, deadline: number): Co<void> {
  const { remote, port, token } = request;
  const { sim } = daemon.machine.kernel;
  const left = (): number => Math.max(1, deadline - sim.now);
  const stream: StreamEnd<ManagerPort> = yield* dialStream(daemon, meanings, remote, port, left());
  try {
    yield* stream.call(...HELLO, () => true, left());
    yield* stream.call(...FINISHED, () => true, left());
    const trusted = yield* stream.call(...ROOT_CA, (manager) => manager.trusts(token), left());
    if (!trusted)
      throw new DockerError(
        `error downloading root CA: remote CA does not match fingerprint. Expected: ${fingerprint(token)}`,
      );
  } finally {
    stream.close();
  }
}

function* issue(daemon: Daemon, meanings: Meanings, request: JoinRequest, deadline: number): Co<Certificate> {
  const { remote, port, token, description, availability } = request;
  const { sim } = daemon.machine.kernel;
  const left = (): number => Math.max(1, deadline - sim.now);
  const stream: StreamEnd<ManagerPort> = yield* dialStream(daemon, meanings, remote, port, left());
  try {
    yield* stream.call(...HELLO_NAMED, () => true, left());
    yield* stream.call(...FINISHED, () => true, left());
    const certify = (manager: ManagerPort) => manager.certify(token, description, availability);
    const certificate = yield* stream.call(...ISSUE, certify, left());
    if (certificate === null) throw new DockerError(NO_JOIN_TOKEN);
    yield* stream.call(...STATUS, () => true, left());
    return certificate;
  } finally {
    stream.close();
  }
}

/** The token's digest, as base 16. */
function fingerprint(token: string): string {
  let value = 0n;
  for (const digit of token.split("-")[2]) value = value * 36n + BigInt(Number.parseInt(digit, 36));
  return value.toString(16).padStart(64, "0");
}

const DIAL_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connect: connection refused",
  EHOSTUNREACH: "connect: no route to host",
  ENETUNREACH: "connect: network is unreachable",
  ETIMEDOUT: "i/o timeout",
};

function unavailable({ remote, port }: JoinRequest, error: SysError): string {
  const words = DIAL_WORDS[error.code] ?? `connect: ${error.message}`;
  const dial = `dial tcp ${formatIp4(remote)}:${port}: ${words}`;
  return `rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing ${dial}"`;
}
