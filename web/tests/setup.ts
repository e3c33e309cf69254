// The little of a browser that the modules ask for when they are loaded; the unit tests run in Node.

import { vi } from "vitest";

vi.stubGlobal("navigator", { languages: ["en"] });
vi.stubGlobal("localStorage", { getItem: () => null, setItem: () => undefined });
vi.stubGlobal("document", { documentElement: { removeAttribute: () => undefined, setAttribute: () => undefined } });
