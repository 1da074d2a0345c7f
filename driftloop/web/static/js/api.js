// The server's few questions, its one stream, and the token that writing needs away from loopback.

const TOKEN = "driftloop-token";
const AGAIN_MS = 2000;

export class Refused extends Error {
  constructor(status, says) {
    super(says);
    this.status = status;
  }
}

/** The server itself could not be reached. */
export class Away extends Error {}

const pipelinePath = (name) => `api/pipelines/${encodeURIComponent(name)}`;

export const overview = () => ask("api/overview");
export const health = () => ask("healthz");
export const pipeline = (name) => ask(pipelinePath(name));
export const services = () => ask("api/services");
export const run = (name, id) => ask(`${pipelinePath(name)}/runs/${encodeURIComponent(id)}`);
export const compare = (name, a, b) => ask(`${pipelinePath(name)}/compare?a=${a}&b=${b}`);

export const promote = (name, version, reason) =>
  tell(`${pipelinePath(name)}/promote`, { version, reason });
export const rollback = (name, reason) => tell(`${pipelinePath(name)}/rollback`, { reason });

export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  keep: (value) => sessionStorage.setItem(TOKEN, value),
  forget: () => sessionStorage.removeItem(TOKEN),
};

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    throw new Away("The page's server does not answer.", { cause: error });
  }
  const said = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(answer.status, said?.error ?? `HTTP ${answer.status}`);
  return said;
}

function tell(path, body) {
  const headers = { "Content-Type": "application/json", "X-Driftloop": "1" };
  if (token.get()) headers.Authorization = `Bearer ${token.get()}`;
  return ask(path, { method: "POST", headers, body: JSON.stringify(body) });
}

/**
 * Follows one pipeline from a revision on until closed. `on`: {update, services, trouble, open,
 * lost}, each given the event's JSON. A stream that the browser gives up on is opened anew. While
 * the tab is hidden there is none: a browser has six connections to a server for all its tabs, and
 * what was missed is told at once afterwards.
 */
export function follow(name, revision, on) {
  let source = null;
  let timer;
  let seen = revision;
  const close = () => {
    clearTimeout(timer);
    source?.close();
  };
  const open = () => {
    close();
    source = new EventSource(`${pipelinePath(name)}/stream?since=${encodeURIComponent(seen)}`);
    source.addEventListener("open", () => on.open());
    for (const kind of ["update", "services", "trouble"]) {
      source.addEventListener(kind, (event) => {
        seen = event.lastEventId || seen;
        on[kind](JSON.parse(event.data));
      });
    }
    source.addEventListener("error", () => {
      on.lost();
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, AGAIN_MS);
    });
  };
  const turn = () => (document.hidden ? close() : open());
  document.addEventListener("visibilitychange", turn);
  turn();
  return () => {
    document.removeEventListener("visibilitychange", turn);
    close();
  };
}
