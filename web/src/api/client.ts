// The one way to ask the API. Paths, parameters and answers have the types of the OpenAPI document: a field that changes there
// breaks the type check here.

import createClient from "openapi-fetch";
import { signal } from "@preact/signals";

import type { paths } from "./schema";

// A refused request: problem details (RFC 9457) with a stable code.
export class ApiProblem extends Error {
  override readonly name = "ApiProblem";

  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
  ) {
    super(detail);
  }
}

// The instance does not answer.
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

export type SignedIn = "unknown" | "no" | "yes";

// Whether this browser is signed in, as far as the last answer said.
export const signedIn = signal<SignedIn>("unknown");
// True while the instance does not answer.
export const offline = signal(false);

// Another site cannot send this header: the API takes no change from a signed-in browser without it.
const PAGE_HEADER = { "X-Hezar-Page": "1" };

async function ask(request: Request): Promise<Response> {
  try {
    const answer = await fetch(request);
    offline.value = false;
    if (answer.status === 401 && !request.url.endsWith("/api/v1/session")) signedIn.value = "no";
    return answer;
  } catch (error) {
    if (request.signal.aborted) throw error;
    offline.value = true;
    throw new Unreachable(String(error));
  }
}

export const api = createClient<paths>({ baseUrl: "/", headers: PAGE_HEADER, fetch: ask });

function problem(status: number, body: unknown): ApiProblem {
  const fields = (typeof body === "object" && body !== null ? body : {}) as Record<string, unknown>;
  const text = (name: string) => (typeof fields[name] === "string" ? fields[name] : undefined);
  return new ApiProblem(status, text("code") ?? `http-${status}`, text("detail") ?? `HTTP ${status}`);
}

// The answer's value, or the problem as an exception.
export async function value<T>(answer: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await answer;
  if (!response.ok) throw problem(response.status, error);
  return data as T;
}

// As `value`, for answers without content.
export async function done(answer: Promise<{ error?: unknown; response: Response }>): Promise<void> {
  const { error, response } = await answer;
  if (!response.ok) throw problem(response.status, error);
}

// A body of which some members are left out: the API has a default for each of them, which the types do not say of bodies.
export function partly<T>(given: Partial<T>): T {
  return given as T;
}
