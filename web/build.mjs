// Puts the parts of nhsuk-frontend that our pages load into static/vendor, in
// our own colours. Run it after `npm ci`.
//
// What must not be served is taken out here, so that a new version of the
// package cannot bring it back unseen: the font Frutiger, which is not ours to
// give on, every address of another site, and the marks of the NHS, which
// only its own services may show. The build fails if any of it remains.
import { cp, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const from = join(here, "node_modules/nhsuk-frontend/dist/nhsuk");
const to = join(here, "static/vendor");

// Colours that belong to the NHS, and what we use in their place. Status
// colours (red, warm yellow) and the yellow of focus mean the same everywhere
// and stay.
const colours = {
  "#005eb8": "#0b6158", "#0055a6": "#0a564f", "#004b93": "#094d46", "#00478a": "#094943",
  "#004281": "#08443e", "#003d78": "#083f39", "#002f5c": "#062f2b", "#003087": "#0a4a44",
  "#337ec6": "#3d8a80", "#669ed4": "#74aea6", "#c7dcef": "#cfe3de", "#ccdff1": "#d2e6e1",
  "#d9e7f4": "#dcebe7", "#edf4fa": "#edf5f3",
  "#007f3b": "#0b6158", "#00662f": "#094d46", "#004c23": "#08443e", "#00401e": "#062f2b",
  "#7c2855": "#083f39", "#57133a": "#062f2b", "#330072": "#4a3766", "#240050": "#35274a",
  "#f0f4f5": "#f6f4ee", "#212b32": "#1b2a29", "#4c6272": "#52615e", "#425563": "#47544f",
  "#d8dde0": "#d8d6cc", "#e0e4e6": "#e2e0d7", "#dbe0e3": "#dddbd2", "#aeb7bd": "#b3b5ac",
  "#768692": "#76817d", "#354550": "#33433f",
};

const look = (await readFile(join(from, "nhsuk-frontend.min.css"), "utf8"))
  .replace(/@font-face\s*\{[^}]*\}/g, "")
  .replace(/Frutiger W01\s*,\s*/g, "")
  .replace(/\/\*#\s*sourceMappingURL=[^*]*\*\//g, "")
  .replace(/#[0-9a-f]{6}\b/gi, (hex) => colours[hex.toLowerCase()] ?? hex)
  .replace(/url\(\/assets\/images\//g, "url(images/");
const script = (await readFile(join(from, "nhsuk-frontend.min.js"), "utf8"))
  .replace(/\/\/#\s*sourceMappingURL=.*$/m, "");

const offSite = /(?:https?:)?\/\/[a-z0-9-]+(?:\.[a-z0-9-]+)+/i;
for (const [name, content] of [["stylesheet", look], ["script", script]]) {
  const found = content.match(offSite) ?? content.match(/Frutiger|#005eb8/i);
  if (found) throw new Error(`the ${name} of nhsuk-frontend still holds ${found[0]}`);
}

// Only the pictures that the stylesheet names: the others are marks and icons
// of the NHS.
const pictures = new Set([...look.matchAll(/url\(images\/([^)]+)\)/g)].map((m) => m[1]));

await mkdir(join(to, "images"), { recursive: true });
for (const name of await readdir(to)) {
  if (name !== ".keep") await rm(join(to, name), { recursive: true });
}
await mkdir(join(to, "images"));
await writeFile(join(to, "nhsuk-frontend.min.css"), look);
await writeFile(join(to, "nhsuk-frontend.min.js"), script);
for (const name of pictures) await cp(join(from, "assets/images", name), join(to, "images", name));

// The package carries no licence file, so what it says of its licence goes
// with its files in its own words.
const about = JSON.parse(await readFile(join(from, "../../package.json"), "utf8"));
const readme = await readFile(join(from, "../../README.md"), "utf8");
const licence = readme.match(/^## Licence\n+([\s\S]*?)(?=^## |$(?![\s\S]))/m)?.[1].trim();
if (about.license !== "MIT" || !licence) throw new Error("nhsuk-frontend changed its licence: look before you ship it");
await writeFile(join(to, "NOTICE.txt"), `${about.name} ${about.version}, ${about.license}\n${about.homepage}\n\n${licence}\n\nColours changed, font and pictures removed.\n`);
