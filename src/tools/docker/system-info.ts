/** docker info, version (cli/command/system): the daemon as Debian 12 packages it. */

import { formatIp4 } from "../../wire/address.ts";
import type { ToolOutput } from "../tool.ts";
import { type DockerCommand, type DockerContext, ok } from "./command.ts";
import { renderTemplate } from "./go-template.ts";

export const ENGINE_VERSION = "20.10.24+dfsg1";
const KERNEL = "6.1.176";
const OS = "Debian GNU/Linux 12 (bookworm)";

const LOG_PLUGINS = [
  "awslogs",
  "fluentd",
  "gcplogs",
  "gelf",
  "journald",
  "json-file",
  "local",
  "logentries",
  "splunk",
  "syslog",
];
const NETWORK_PLUGINS = ["bridge", "host", "ipvlan", "macvlan", "null", "overlay"];

/** As `docker node inspect` lists them. */
export const PLUGINS: readonly { readonly Type: string; readonly Name: string }[] = [
  ...LOG_PLUGINS.map((Name) => ({ Type: "Log", Name })),
  ...NETWORK_PLUGINS.map((Name) => ({ Type: "Network", Name })),
  { Type: "Volume", Name: "local" },
];

export const info: DockerCommand = {
  path: "docker info",
  usage: "[OPTIONS]",
  short: "Display system-wide information",
  flags: ["format,f="],
  min: 0,
  max: 0,
  run(flags, context): ToolOutput {
    if (flags.has("format")) return ok(`${renderTemplate(flags.get("format"), infoJson(context))}\n`);
    return ok(infoText(context));
  },
};

function counts({ engine }: DockerContext) {
  const running = engine.containers.filter((container) => container.state === "running").length;
  return { all: engine.containers.length, running, stopped: engine.containers.length - running };
}

function infoJson(context: DockerContext) {
  const { engine } = context;
  const { all, running, stopped } = counts(context);
  return {
    ID: engine.id,
    Containers: all,
    ContainersRunning: running,
    ContainersPaused: 0,
    ContainersStopped: stopped,
    Images: engine.fabric.images.size,
    Driver: "overlay2",
    KernelVersion: KERNEL,
    OperatingSystem: OS,
    OSType: "linux",
    Architecture: "x86_64",
    NCPU: 1,
    Name: engine.machine.name,
    ServerVersion: ENGINE_VERSION,
    Swarm: swarmJson(context),
  };
}

function swarmJson({ engine }: DockerContext) {
  const { membership } = engine;
  if (membership === null)
    return {
      NodeID: "",
      NodeAddr: "",
      LocalNodeState: engine.joining === null ? "inactive" : "pending",
      ControlAvailable: false,
      Error: "",
      RemoteManagers: null,
    };
  return {
    NodeID: membership.nodeId,
    NodeAddr: formatIp4(membership.advertise),
    LocalNodeState: "active",
    ControlAvailable: engine.role === "manager",
    Error: "",
    RemoteManagers: [...membership.cluster.managers].map(([NodeID, Addr]) => ({ NodeID, Addr })),
    ...(engine.role === "manager"
      ? { Nodes: engine.control().listNodes().length, Managers: engine.control().info().managers.size }
      : {}),
  };
}

function infoText(context: DockerContext): string {
  const { engine } = context;
  const { all, running, stopped } = counts(context);
  return `Client:
 Context:    default
 Debug Mode: false

Server:
 Containers: ${all}
  Running: ${running}
  Paused: 0
  Stopped: ${stopped}
 Images: ${engine.fabric.images.size}
 Server Version: ${ENGINE_VERSION}
 Storage Driver: overlay2
  Backing Filesystem: extfs
  Supports d_type: true
  Native Overlay Diff: true
  userxattr: false
 Logging Driver: json-file
 Cgroup Driver: systemd
 Cgroup Version: 2
 Plugins:
  Volume: local
  Network: ${NETWORK_PLUGINS.join(" ")}
  Log: ${LOG_PLUGINS.join(" ")}
${swarmText(context)} Runtimes: io.containerd.runc.v2 io.containerd.runtime.v1.linux runc
 Default Runtime: runc
 Init Binary: docker-init
 containerd version: 1.6.20~ds1-1+deb12u3
 runc version: 1.1.5+ds1-1+deb12u1
 init version: 
 Security Options:
  seccomp
   Profile: default
  cgroupns
 Kernel Version: ${KERNEL}
 Operating System: ${OS}
 OSType: linux
 Architecture: x86_64
 CPUs: 1
 Total Memory: 1.134GiB
 Name: ${engine.machine.name}
 ID: ${engine.id}
 Docker Root Dir: /var/lib/docker
 Debug Mode: false
 Registry: https://index.docker.io/v1/
 Labels:
 Experimental: false
 Insecure Registries:
  127.0.0.0/8
 Live Restore Enabled: false

`;
}

function swarmText({ engine }: DockerContext): string {
  const { membership } = engine;
  if (engine.joining !== null) return " Swarm: pending\n  NodeID: \n  Is Manager: false\n  Node Address: \n";
  if (membership === null) return " Swarm: inactive\n";
  const managers = [...membership.cluster.managers.values()].sort();
  const addresses = `  Node Address: ${formatIp4(membership.advertise)}\n  Manager Addresses:\n${managers.map((addr) => `   ${addr}\n`).join("")}`;
  const head = ` Swarm: active\n  NodeID: ${membership.nodeId}\n`;
  if (engine.role !== "manager") return `${head}  Is Manager: false\n${addresses}`;
  const control = engine.control();
  const cluster = control.info();
  return `${head}  Is Manager: true
  ClusterID: ${cluster.id}
  Managers: ${managers.length}
  Nodes: ${control.listNodes().length}
  Default Address Pool: ${cluster.defaultAddrPool.join("  ")}  
  SubnetSize: ${cluster.subnetSize}
  Data Path Port: ${cluster.dataPathPort}
  Orchestration:
   Task History Retention Limit: 5
  Raft:
   Snapshot Interval: 10000
   Number of Old Snapshots to Retain: 0
   Heartbeat Tick: 1
   Election Tick: 10
  Dispatcher:
   Heartbeat Period: 5 seconds
  CA Configuration:
   Expiry Duration: 3 months
   Force Rotate: 0
  Autolock Managers: false
  Root Rotation In Progress: false
${addresses}`;
}

export const version: DockerCommand = {
  path: "docker version",
  usage: "[OPTIONS]",
  short: "Show the Docker version information",
  flags: ["format,f="],
  min: 0,
  max: 0,
  run(flags): ToolOutput {
    const data = {
      Client: { Version: ENGINE_VERSION, ApiVersion: "1.41" },
      Server: { Version: ENGINE_VERSION },
    };
    if (flags.has("format")) return ok(`${renderTemplate(flags.get("format"), data)}\n`);
    const common = ` Version:           ${ENGINE_VERSION}\n API version:       1.41\n Go version:        go1.19.8\n Git commit:        297e128\n Built:             Thu May 18 08:38:34 2023\n OS/Arch:           linux/amd64\n`;
    const server = common
      .replace("1.41\n", "1.41 (minimum version 1.12)\n")
      .replace("297e128", "5d6db84")
      .replace(/^ /gm, "  ")
      .replace(/: {11}|:( +)/g, (m) => m.slice(0, -1));
    return ok(
      `Client:\n${common} Context:           default\n Experimental:      true\n\nServer:\n Engine:\n${server}  Experimental:     false\n containerd:\n  Version:          1.6.20~ds1-1+deb12u3\n  GitCommit:        1.6.20~ds1-1+deb12u3\n runc:\n  Version:          1.1.5+ds1-1+deb12u1\n  GitCommit:        1.1.5+ds1-1+deb12u1\n docker-init:\n  Version:          \n  GitCommit:        \n`,
    );
  },
};
