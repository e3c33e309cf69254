import { env } from "node:process";
import { defineConfig } from "vite";

// The instance that the page asks while it is developed.
// It has to see the address that the browser asks for: it compares that with the origin.
const instance = { target: `http://${env.PAGE_API ?? "127.0.0.1:9090"}`, changeOrigin: false };
const proxy = { "/api": instance, "/sub": instance };

// The build lands below `dist`, which is watched by the program's build: see crates/page/build.rs.
export default defineConfig({
  base: "./",
  build: { outDir: "dist/page", emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false }, target: "es2022" },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  server: { proxy },
  preview: { proxy },
});
