/**
 * Kernel parameters of a namespace. The layer that owns a value registers how to list, read and write it; nothing is
 * stored twice. Names have dots: `net.ipv4.ip_forward`.
 */
import { SysError } from "../../util/errors.ts";

/** A group of parameters that a layer answers for. */
export interface SysctlProvider {
  /** Every name that exists now. */
  names(): string[];
  /** The value as /proc shows it (no line end), or undefined when the name is not of this group. */
  get(name: string): string | undefined;
  /** Writes; false when the name is not of this group. Throws SysError EINVAL for a value that is refused. */
  set(name: string, value: string): boolean;
}

export class SysctlTable {
  private readonly providers: SysctlProvider[] = [];

  register(provider: SysctlProvider): void {
    this.providers.push(provider);
  }

  /** All names, sorted as `sysctl -a` prints them. */
  names(): string[] {
    return this.providers.flatMap((provider) => provider.names()).sort();
  }

  /** ENOENT for a name that does not exist. */
  get(name: string): string {
    for (const provider of this.providers) {
      const value = provider.get(name);
      if (value !== undefined) return value;
    }
    throw new SysError("ENOENT", name);
  }

  /** ENOENT for a name that does not exist, EINVAL for a bad value. */
  set(name: string, value: string): void {
    for (const provider of this.providers) if (provider.set(name, value)) return;
    throw new SysError("ENOENT", name);
  }
}

/** A provider of plain integer fields of an object: name to field and allowed range. */
export class IntSysctls<T extends object> implements SysctlProvider {
  private readonly target: T;
  private readonly fields: ReadonlyMap<string, { field: keyof T; min: number; max: number }>;

  /** `fields`: full name -> [field, min, max]; the field holds a number. */
  constructor(target: T, fields: Record<string, readonly [keyof T, number, number]>) {
    this.target = target;
    this.fields = new Map(
      Object.entries(fields).map(([name, [field, min, max]]) => [name, { field, min, max }]),
    );
  }

  names(): string[] {
    return [...this.fields.keys()];
  }

  get(name: string): string | undefined {
    const entry = this.fields.get(name);
    return entry === undefined ? undefined : String(this.target[entry.field]);
  }

  set(name: string, value: string): boolean {
    const entry = this.fields.get(name);
    if (entry === undefined) return false;
    const number = Number(value.trim());
    if (value.trim() === "" || !Number.isInteger(number) || number < entry.min || number > entry.max)
      throw new SysError("EINVAL", `${name} = ${value}`);
    (this.target[entry.field] as number) = number;
    return true;
  }
}
