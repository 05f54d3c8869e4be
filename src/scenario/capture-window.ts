/**
 * A capture window: from its start to its stop every frame of every interface of every machine is recorded, also of
 * interfaces that appear meanwhile. Files are made when asked for.
 */
import { mergePcapng } from "../capture/merge.ts";
import { Recorder } from "../capture/recorder.ts";
import type { Lab } from "../lab.ts";
import type { NetDevice } from "../net/core/net-device.ts";
import type { DeviceListener } from "../net/core/net-ns.ts";
import { UsageError } from "../util/errors.ts";

export interface WindowOptions {
  readonly promiscuous: boolean;
  /** Keep what happened to each packet, for the comments of the merged file. */
  readonly traces: boolean;
}

export class CaptureWindow {
  readonly name: string;
  readonly recorder: Recorder;
  readonly startedNs: number;
  /** null while it runs. */
  stoppedNs: number | null = null;
  private readonly lab: Lab;
  private readonly watcher: DeviceListener;

  constructor(lab: Lab, name: string, options: WindowOptions) {
    this.lab = lab;
    this.name = name;
    this.startedNs = lab.sim.now;
    this.recorder = new Recorder(lab.sim, options);
    this.watcher = {
      up: (dev) => {
        this.attach(dev);
      },
      unregistering: (dev) => {
        this.recorder.detach(dev);
      },
    };
    lab.watchers.push(this.watcher);
    for (const machine of lab.machines.values())
      for (const ns of machine.kernel.namespaces)
        for (const dev of ns.devices()) if (dev.isUp) this.attach(dev);
  }

  stop(): void {
    if (this.stoppedNs !== null) return;
    this.stoppedNs = this.lab.sim.now;
    this.lab.watchers.splice(this.lab.watchers.indexOf(this.watcher), 1);
    this.recorder.stop();
  }

  /** `MACHINE__NETNS__IFACE.pcap` of every interface that saw a frame, with its interface number, sorted by name. */
  files(): { readonly name: string; readonly interfaceId: number }[] {
    const seen = new Set<number>();
    for (let i = 0; i < this.recorder.frameCount; i++) seen.add(this.recorder.frameInterface(i));
    return [...seen]
      .map((interfaceId) => {
        const { machine, netns, name } = this.recorder.interfaces[interfaceId];
        return { name: `${machine}__${netns}__${name}.pcap`, interfaceId };
      })
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** One interface's file; `.pcap` may be left out. Throws UsageError for one that saw no frame. */
  pcap(name: string): Uint8Array {
    const files = this.files();
    const file = files.find((one) => one.name === name || one.name === `${name}.pcap`);
    if (file === undefined)
      throw new UsageError(
        `capture ${this.name} has no ${name}; it has: ${files.map((one) => one.name).join(", ") || "no frames"}`,
        2,
      );
    return this.recorder.pcap(file.interfaceId);
  }

  /** Every interface in one time-ordered file. */
  pcapng(): Uint8Array {
    return mergePcapng([this.recorder]);
  }

  private attach(dev: NetDevice): void {
    this.recorder.attach(dev, dev.ns.kernel.name, dev.ns.name);
  }
}
