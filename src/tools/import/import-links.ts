/**
 * Devices of a dump: VXLAN devices are made where their underlay is and moved, as they came to be; veth pairs by their two
 * ends; bridges get their ports in the order of the ports' numbers. All keep their ifindexes and MAC addresses.
 */
import type { Machine } from "../../host/machine.ts";
import type { NetDevice } from "../../net/core/net-device.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import {
  linkAdd,
  linkGet,
  linkSetAddress,
  linkSetAllmulti,
  linkSetMaster,
  linkSetMtu,
  linkSetNetns,
  linkSetPromisc,
  linkSetTxQueueLen,
  linkSetUp,
} from "../../net/ctl/link.ts";
import { linkSetBridge, linkSetBrport } from "../../net/ctl/link-bridge.ts";
import { netnsSetId } from "../../net/ctl/netns.ts";
import { nicCreate } from "../../net/drivers/nic.ts";
import { type ImportedNs, lineOf } from "./imported-ns.ts";
import { isInUse, isUp, kindOf, type LinkJson, macOf } from "./link-json.ts";
import { bridgeSettings, portNumber, portSettings, type Refuse, vxlanSettings } from "./link-settings.ts";
import type { Problems } from "./problems.ts";
import { NetnsIds, pairVeths, type VethEnd } from "./veth-pairs.ts";

/** Plugs a card of the host into the lab; false when it hangs on no segment. */
export type Plug = (dev: NetDevice) => boolean;

export class LinkImporter {
  private readonly machine: Machine;
  private readonly all: readonly ImportedNs[];
  private readonly problems: Problems;
  private readonly plug: Plug;
  private readonly ids: NetnsIds;

  constructor(machine: Machine, all: readonly ImportedNs[], problems: Problems, plug: Plug) {
    this.machine = machine;
    this.all = all;
    this.problems = problems;
    this.plug = plug;
    this.ids = new NetnsIds(all.length);
  }

  run(): void {
    this.leaveOut();
    const pairs = this.veths();
    this.numberNamespaces();
    this.each("vxlan", (at, link) => this.addVxlan(at, link));
    this.each("nic", (at, link) => this.addCard(at, link));
    this.each("bridge", (at, link) => this.addBridge(at, link));
    this.each("dummy", ({ ns }, link) =>
      linkAdd(ns, { kind: "dummy", name: link.ifname, ifindex: link.ifindex }),
    );
    for (const [a, b] of pairs) this.attempt(this.all[a.ns], a.link, () => this.addPair(a, b));
    for (const at of this.all)
      for (const link of this.present(at)) this.attempt(at, link, () => this.configure(at, link));
    for (const at of this.all) this.enslave(at);
    for (const at of this.all)
      for (const link of this.present(at)) this.attempt(at, link, () => this.raise(at, link));
  }

  private attempt(at: ImportedNs, link: LinkJson, work: () => void): void {
    this.problems.attempt(lineOf(at, "addr"), `${at.ns.name} ${link.ifname}`, work);
  }

  private refuser(at: ImportedNs, link: LinkJson): Refuse {
    return (what) =>
      this.problems.error(lineOf(at, "addr"), `not modelled: ${at.ns.name} ${link.ifname}: ${what}`);
  }

  private present({ links, leftOut }: ImportedNs): LinkJson[] {
    return links.filter(({ ifname }) => !leftOut.has(ifname));
  }

  private each(kind: string, work: (at: ImportedNs, link: LinkJson) => void): void {
    for (const at of this.all)
      for (const link of this.present(at))
        if (kindOf(link) === kind) this.attempt(at, link, () => work(at, link));
  }

  /** Devices of kinds that are not modelled: an error when packets can meet them. */
  private leaveOut(): void {
    for (const at of this.all)
      for (const link of at.links) {
        if (kindOf(link) !== null) continue;
        const kind = link.linkinfo?.info_kind ?? link.link_type;
        at.leftOut.add(link.ifname);
        if (isInUse(link)) this.refuser(at, link)(`a device of the kind ${kind}`);
        else this.problems.note(`${at.ns.name}: left out: ${link.ifname} (${kind})`);
      }
  }

  private veths(): readonly (readonly [VethEnd, VethEnd])[] {
    const ends = this.all.flatMap(({ links }, ns) =>
      links.filter((link) => kindOf(link) === "veth").map((link) => ({ ns, link })),
    );
    const { pairs, lonely, doubtful } = pairVeths(ends, this.ids);
    for (const { ns, link } of doubtful)
      this.problems.error(
        lineOf(this.all[ns], "addr"),
        `${this.all[ns].ns.name} ${link.ifname}: several devices could be its other end (ifindex ${link.link_index})`,
      );
    for (const { ns, link } of lonely) {
      const at = this.all[ns];
      at.leftOut.add(link.ifname);
      this.problems.note(
        `${at.ns.name}: left out: ${link.ifname}, whose other end is in no namespace of the dump`,
      );
    }
    return pairs;
  }

  /** Underlays of VXLAN devices are the host's namespace unless a pair says otherwise. */
  private numberNamespaces(): void {
    this.all.forEach(({ ns, links }, i) => {
      for (const link of links)
        if (
          kindOf(link) === "vxlan" &&
          link.link_netnsid !== undefined &&
          this.ids.allows(i, link.link_netnsid, 0)
        )
          this.ids.set(i, link.link_netnsid, 0);
      for (const [id, other] of this.ids.entries(i))
        if (ns.peerNetns[id] !== this.all[other].ns) netnsSetId(ns, this.all[other].ns, id);
    });
  }

  private addVxlan(at: ImportedNs, link: LinkJson): void {
    const { ns } = at;
    const other =
      link.link_netnsid === undefined ? undefined : this.ids.get(this.all.indexOf(at), link.link_netnsid);
    const underlay: NetNs = other === undefined ? ns : this.all[other].ns;
    const settings = vxlanSettings(link, this.refuser(at, link));
    const lowerName = (link.linkinfo?.info_data?.link as string | undefined) ?? null;
    const lower = lowerName === null ? null : linkGet(underlay, lowerName);
    const dev = linkAdd(underlay, {
      kind: "vxlan",
      name: link.ifname,
      ifindex: link.ifindex,
      ...settings,
      lower,
    });
    linkSetNetns(dev, ns);
  }

  private addCard(at: ImportedNs, link: LinkJson): void {
    const mac = macOf(link)!;
    const { mtu, qdisc, ifindex } = link;
    const maxMtu = Math.max(link.max_mtu ?? 0, mtu);
    const dev = nicCreate(at.ns, link.ifname, mac.hi, mac.lo, {
      mtu,
      maxMtu,
      ifindex,
      ...(qdisc === undefined ? {} : { qdisc }),
    });
    const plugged = at.ns === this.machine.hostNs && this.plug(dev);
    if (!plugged && isUp(link))
      this.problems.note(`${at.ns.name}: ${link.ifname} hangs on no segment of the lab`);
  }

  private addBridge(at: ImportedNs, link: LinkJson): void {
    const dev = linkAdd(at.ns, { kind: "bridge", name: link.ifname, ifindex: link.ifindex });
    linkSetBridge(dev, bridgeSettings(link, this.refuser(at, link)));
    const ports = this.present(at).filter(({ master }) => master === link.ifname);
    // A bridge that nobody gave an address has that of a port.
    const mac = macOf(link)!;
    if (!ports.some(({ address }) => address === link.address)) linkSetAddress(dev, mac.hi, mac.lo);
  }

  private addPair(a: VethEnd, b: VethEnd): void {
    linkAdd(this.all[a.ns].ns, {
      kind: "veth",
      name: a.link.ifname,
      ifindex: a.link.ifindex,
      address: macOf(a.link)!,
      peer: b.link.ifname,
      peerNs: this.all[b.ns].ns,
      peerIfindex: b.link.ifindex,
      peerAddress: macOf(b.link)!,
    });
  }

  private configure(at: ImportedNs, link: LinkJson): void {
    const kind = kindOf(link);
    const dev = linkGet(at.ns, link.ifname);
    const mac = macOf(link);
    if (dev.ifindex !== link.ifindex)
      this.problems.error(
        lineOf(at, "addr"),
        `${at.ns.name} ${link.ifname}: no free ifindex ${link.ifindex}`,
      );
    linkSetTxQueueLen(dev, link.txqlen ?? 0);
    if (kind !== "bridge" && dev.mtu !== link.mtu) linkSetMtu(dev, link.mtu);
    if ((kind === "vxlan" || kind === "dummy") && mac !== null) linkSetAddress(dev, mac.hi, mac.lo);
    if (link.flags.includes("NOARP") && kind !== "dummy") this.refuser(at, link)("arp off");
  }

  /** Ports and, when all are there, the bridges' own MTUs. */
  private enslave(at: ImportedNs): void {
    const links = this.present(at);
    const ports = links
      .filter(({ master }) => master !== undefined)
      .sort((a, b) => portNumber(a) - portNumber(b));
    for (const port of ports)
      this.attempt(at, port, () => {
        const dev = linkGet(at.ns, port.ifname);
        linkSetMaster(dev, linkGet(at.ns, port.master!));
        linkSetBrport(dev, portSettings(port, this.refuser(at, port)));
      });
    for (const link of links)
      if (kindOf(link) === "bridge")
        this.attempt(at, link, () => {
          const dev = linkGet(at.ns, link.ifname);
          if (dev.mtu !== link.mtu) linkSetMtu(dev, link.mtu);
        });
  }

  private raise(at: ImportedNs, link: LinkJson): void {
    const dev = linkGet(at.ns, link.ifname);
    if (link.flags.includes("PROMISC")) linkSetPromisc(dev, true);
    if (link.flags.includes("ALLMULTI")) linkSetAllmulti(dev, true);
    if (isUp(link)) linkSetUp(dev);
  }
}
