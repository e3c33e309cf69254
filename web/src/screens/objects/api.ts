// Sources, listeners, users and subscriptions: objects with a name that are in the configuration file or in the store. All kinds
// have the same paths and the same shape.

import { api, done, value } from "../../api/client";
import type { StoredObject } from "../../api/types";
import type { Values } from "../../ui/form";

export type Kind = "source" | "listener" | "user" | "subscription";

// One of the literal paths stands for all of them in the types.
const PATHS: Readonly<Record<Kind, "/api/v1/sources">> = {
  source: "/api/v1/sources",
  listener: "/api/v1/listeners" as "/api/v1/sources",
  user: "/api/v1/users" as "/api/v1/sources",
  subscription: "/api/v1/subscriptions" as "/api/v1/sources",
};
const one = (kind: Kind): "/api/v1/sources/{name}" => `${PATHS[kind]}/{name}`;

const MOST_PARTS = 50;

// All objects of a kind; there are at most some thousand.
export async function loadObjects(kind: Kind, signal: AbortSignal): Promise<readonly StoredObject[]> {
  const objects: StoredObject[] = [];
  let cursor: string | undefined;
  for (let part = 0; part < MOST_PARTS; part += 1) {
    const query = { limit: 1000, ...(cursor === undefined ? {} : { cursor }) };
    const list = await value(api.GET(PATHS[kind], { params: { query }, signal }));
    objects.push(...list.items);
    if (!list.next) break;
    cursor = list.next;
  }
  return objects;
}

// Values with dots in their names are members of members: `quota.day` is `{ "quota": { "day": … } }`.
export function toBody(values: Values): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  for (const [name, given] of Object.entries(values)) {
    const [first = name, second] = name.split(".", 2);
    if (second === undefined) body[first] = given;
    else body[first] = { ...(body[first] as object | undefined), [second]: given };
  }
  return body;
}

// The members of an object's value as fields of a form name them.
export function toValues(body: Readonly<Record<string, unknown>>): Values {
  const values: Record<string, Values[string]> = {};
  for (const [name, given] of Object.entries(body)) {
    if (typeof given === "object" && given !== null && !Array.isArray(given)) {
      for (const [inner, member] of Object.entries(given)) values[`${name}.${inner}`] = member as Values[string];
    } else values[name] = given as Values[string];
  }
  return values;
}

export async function createObject(kind: Kind, values: Values): Promise<void> {
  // What was left empty is left to its default.
  const given = Object.fromEntries(Object.entries(values).filter(([, member]) => member !== null && member !== undefined));
  await done(api.POST(PATHS[kind], { body: toBody(given) }));
}

export async function changeObject(kind: Kind, name: string, values: Values): Promise<void> {
  await done(api.PATCH(one(kind), { params: { path: { name } }, body: toBody(values) }));
}

export async function removeObject(kind: Kind, name: string): Promise<void> {
  await done(api.DELETE(one(kind), { params: { path: { name } } }));
}
