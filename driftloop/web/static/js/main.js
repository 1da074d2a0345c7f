// The page: what is known, who shows it, and the stream that keeps it so.

import * as api from "./api.js";
import { announce, byId, h, replace } from "./dom.js";
import { model } from "./format.js";
import * as hash from "./hash.js";
import { LoopView } from "./loop.js";
import { Models } from "./models.js";
import { word } from "./outcomes.js";
import { RunDrawer } from "./run.js";
import { showServices } from "./services.js";
import { Store, patchOf } from "./store.js";
import { startTheme } from "./theme.js";
import { showLive, showTotals } from "./totals.js";
import { TriggerList } from "./triggers.js";

const AGAIN_MS = 2000;
const LOOK_MS = 15_000; // how soon a pipeline that is declared appears in the picker
const TICK_MS = 5000; // how often "last heard …" is told anew
const EMPTY = {
  about: null,
  buckets: null,
  bands: [],
  drifts: [],
  triggers: [],
  psi: null,
  totals: null,
  models: [],
  live: null,
  liveVersion: null,
};

const store = new Store({
  ...hash.read(),
  ...EMPTY,
  overview: null,
  services: null,
  trouble: null,
  connection: { state: "waiting", at: Date.now() },
});

function start() {
  startTheme(byId("theme"));
  const drawer = new RunDrawer(store);
  new LoopView(store, drawer.open);
  new TriggerList(store, drawer.open);
  new Models(store, drawer.open);
  store.on(["about", "totals", "live", "bands"], showTotals);
  store.on(["services"], showServices);
  store.on(["connection", "trouble"], showLive);
  store.on(hash.NAMES, () => hash.write(store));
  store.on(["pipeline"], () => followed(store.get("pipeline")));
  store.on(["overview", "pipeline"], showPicker);
  addEventListener("popstate", () => store.set(hash.read()));
  setInterval(() => [showLive, showServices].forEach((show) => show(store)), TICK_MS);
  for (const link of document.querySelectorAll("[data-scroll]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const target = byId(link.dataset.scroll);
      target.scrollIntoView();
      target.focus({ preventScroll: true });
    });
  }
  if (store.get("pipeline")) followed(store.get("pipeline"));
  look();
}

/** Which pipelines there are; asked often until there is one, then now and again for new ones. */
async function look(away = false) {
  try {
    const overview = await api.overview();
    const first = overview.pipelines[0]?.name;
    store.set({ overview });
    if (away) store.set({ trouble: null });
    await without(first);
    away = false;
    if (!store.get("pipeline") && first) store.set({ pipeline: first });
    if (first) {
      setTimeout(() => look(), LOOK_MS);
      return;
    }
  } catch (error) {
    away = true;
    store.set({ trouble: `${error.message} It is asked again every ${AGAIN_MS / 1000} s.` });
  }
  if (!store.get("services"))
    api.services().then(
      (services) => store.set({ services }),
      () => {},
    );
  setTimeout(() => look(away), AGAIN_MS);
}

/** Without a pipeline there is no stream that would tell of a broker that is away. */
async function without(first) {
  const trouble = first ? "" : (await api.health()).trouble;
  byId("no-pipeline").hidden = Boolean(first || trouble);
  if (first) return;
  store.set({ trouble: trouble || null });
  byId("loading").hidden = true;
}

function showPicker() {
  const { pipelines, version } = store.get("overview") ?? { pipelines: [] };
  byId("version").textContent = version ? `version ${version}` : "";
  const names = pipelines.map((each) => each.name);
  const chosen = store.get("pipeline");
  if (chosen && !names.includes(chosen)) names.push(chosen);
  replace(
    byId("pipeline"),
    names.map((name) => h("option", { value: name, selected: name === chosen }, name)),
  );
  byId("pipeline").onchange = (event) =>
    store.set({ ...hash.VIEW, axis: store.get("axis"), pipeline: event.target.value });
}

let unfollow = () => {};

/** Another pipeline: everything of the old one goes, then the new one's stream tells all. */
function followed(name) {
  unfollow();
  if (!name) return;
  document.title = `${name} · Driftloop`;
  byId("page").setAttribute("aria-busy", "true");
  byId("loading").hidden = false;
  store.set({ ...EMPTY, connection: { state: "waiting", at: Date.now() } });
  let gone = false;
  let close = () => {};
  unfollow = () => {
    gone = true;
    close();
  };
  first(name, () => gone).then((whole) => {
    if (gone) return;
    took(whole);
    close = api.follow(name, whole.revision, {
      open: () => heard({ trouble: null }),
      update: (update) => took(update),
      services: (services) => heard({ services }),
      trouble: ({ says }) => heard({ trouble: says || null }),
      lost: () => lost(name),
    });
  });
}

/** All that there is of it, asked for until it is there (or nobody wants it any more). */
async function first(name, gone) {
  while (!gone()) {
    try {
      return await api.pipeline(name);
    } catch (error) {
      if (gone()) return null;
      const says = error.status === 404 ? `There is ${error.message}.` : error.message;
      store.set({ trouble: `${says} It is asked again every ${AGAIN_MS / 1000} s.` });
      byId("loading").hidden = error.status === 404;
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
  return null;
}

function heard(patch = {}) {
  store.set({ ...patch, connection: { state: "live", at: Date.now() } });
}

function took(update) {
  const patch = patchOf(store, update);
  const news = store.get("about") ? newsOf(update) : null;
  heard(patch);
  byId("loading").hidden = true;
  byId("page").setAttribute("aria-busy", "false");
  if (news) announce(news);
}

/** The one thing worth telling somebody who can't see the marks move. */
function newsOf({ triggers }) {
  const before = new Map((store.get("triggers") ?? []).map((each) => [each.id, each.outcome]));
  const last = (triggers ?? []).findLast((each) => before.get(each.id) !== each.outcome);
  if (!last) return null;
  const version = last.version ? ` as ${model(store.get("about").name, last.version)}` : "";
  return `${last.trigger}: ${word(last.outcome)}${version}`;
}

/** The stream broke; what is shown stays, and the stream mends itself. */
async function lost(name) {
  store.set({ connection: { ...store.get("connection"), state: "lost" } });
  const says = await api.overview().then(
    () => null,
    (error) => `${error.message} What is shown is the last that was heard; it goes on by itself.`,
  );
  const still = store.get("connection").state === "lost" && name === store.get("pipeline");
  if (still && says) store.set({ trouble: says });
}

start();
