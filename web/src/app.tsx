// The frame of the page: navigation, the state of the connection, and the screen that the address names.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { offline, signedIn } from "./api/client";
import { live } from "./api/events";
import { checkSession, redeemCode, signOut } from "./api/session";
import { t } from "./i18n";
import { language, theme, type Theme } from "./lib/preferences";
import { formatPlace, place } from "./lib/router";
import { groups, screens } from "./screens";
import { SignIn } from "./screens/sign-in";
import { Icon } from "./ui/icon";
import { Empty, Loading } from "./ui/states";
import { Toasts } from "./ui/toast";

export function App() {
  useEffect(() => {
    void redeemCode().then(checkSession);
  }, []);
  if (signedIn.value === "unknown") return offline.value ? <Offline /> : <Loading />;
  return (
    <>
      {signedIn.value === "no" ? <SignIn /> : <Frame />}
      <Toasts />
    </>
  );
}

function Frame() {
  const [open, setOpen] = useState(false);
  const main = useRef<HTMLElement>(null);
  const screen = place.value.screen;
  const Screen = screens[screen]?.view;
  useEffect(() => live.start(), []);
  useEffect(() => {
    setOpen(false);
    document.title = `${screens[screen]?.label() ?? "404"} · Hezar`;
  }, [screen, language.value]);
  useShortcuts(() => setOpen(false));
  return (
    <div class={open ? "frame open" : "frame"}>
      <header class="top">
        <a
          class="skip"
          href={formatPlace(screen)}
          onClick={(event) => {
            event.preventDefault();
            main.current?.focus();
          }}
        >
          {t().shell.skip}
        </a>
        <button type="button" class="icon burger" aria-label={t().shell.menu} aria-expanded={open} aria-controls="navigation" onClick={() => setOpen(!open)}>
          <Icon sign="menu" />
        </button>
        <a class="brand" href={formatPlace("overview")}>
          Hezar
        </a>
        <span class="grow" />
        <Tools />
      </header>
      <nav id="navigation" aria-label={t().shell.navigation}>
        {groups().map((group) => (
          <div key={group.label} role="group" aria-label={group.label}>
            <p class="group">{group.label}</p>
            {group.screens.map((name) => (
              <a key={name} href={formatPlace(name)} aria-current={name === screen ? "page" : undefined}>
                {screens[name]?.label()}
              </a>
            ))}
          </div>
        ))}
        <p class="version">
          <bdi>{live.status.value && `Hezar ${live.status.value.version}`}</bdi>
        </p>
      </nav>
      <button type="button" class="shade" tabIndex={-1} aria-hidden="true" onClick={() => setOpen(false)} />
      <main ref={main} tabIndex={-1}>
        {offline.value && <Banner>{t().shell.offline}</Banner>}
        <h1>{screens[screen]?.label() ?? t().shell.unknownScreen}</h1>
        {Screen ? <Screen key={screen} /> : <Empty text={t().shell.unknownScreenHelp} />}
      </main>
    </div>
  );
}

function Tools() {
  const themes: readonly Theme[] = ["auto", "light", "dark"];
  return (
    <>
      <label class="offscreen" for="theme">
        {t().shell.theme}
      </label>
      <select id="theme" value={theme.value} onChange={(event) => (theme.value = themes.find((name) => name === event.currentTarget.value) ?? "auto")}>
        {themes.map((name) => (
          <option key={name} value={name}>
            {t().shell.themes[name]}
          </option>
        ))}
      </select>
      <button type="button" lang={language.value === "en" ? "fa" : "en"} onClick={() => (language.value = language.value === "en" ? "fa" : "en")}>
        {language.value === "en" ? "فارسی" : "English"}
      </button>
      <button type="button" onClick={() => void signOut()}>
        {t().shell.signOut}
      </button>
    </>
  );
}

function Banner({ children }: { readonly children: ComponentChildren }) {
  return (
    <p class="banner bad" role="alert">
      {children}
    </p>
  );
}

const RETRY_MS = 3000;

// Nothing is known yet and nobody answers: asks again until somebody does.
function Offline() {
  useEffect(() => {
    const timer = setInterval(() => void checkSession(), RETRY_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <main class="alone">
      <h1>Hezar</h1>
      <p role="alert">{t().shell.offline}</p>
    </main>
  );
}

// `/` goes to the search of a table; Escape closes the navigation of narrow pages.
function useShortcuts(close: () => void) {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Escape") close();
      const typing = event.target instanceof HTMLElement && event.target.closest("input, textarea, select, dialog") !== null;
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      const search = document.querySelector<HTMLInputElement>("main input[type=search]");
      if (search === null) return;
      event.preventDefault();
      search.focus();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [close]);
}
