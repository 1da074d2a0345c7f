// One question before anything is changed: what will happen, a reason, and where the server wants
// one, the token. Kept for this tab alone.

import * as api from "./api.js";
import { byId, toast } from "./dom.js";

/** Asks once; on "yes" calls `act(reason)`. Gives whether it was done. */
export async function confirmed({ title, says, yes, tokenWanted }, act) {
  const dialog = byId("ask");
  const form = byId("ask-form");
  byId("ask-title").textContent = title;
  byId("ask-says").textContent = says;
  byId("ask-yes").textContent = yes;
  form.reset();
  wantToken(tokenWanted && !api.token.get());
  problem("");
  dialog.returnValue = "";
  dialog.showModal();
  byId("ask-reason").focus();
  return new Promise((resolve) => {
    let done = false;
    form.onsubmit = async (event) => {
      event.preventDefault();
      done = await attempt(form, act);
      if (done) dialog.close();
    };
    byId("ask-no").onclick = () => dialog.close();
    dialog.onclose = () => resolve(done);
  });
}

async function attempt(form, act) {
  if (form.elements.token.value) api.token.keep(form.elements.token.value);
  byId("ask-yes").disabled = true;
  try {
    const { message } = await act(form.elements.reason.value.trim());
    toast(message);
    return true;
  } catch (error) {
    problem(error.message);
    if (error.status === 401) {
      api.token.forget();
      wantToken(true);
    }
    return false;
  } finally {
    byId("ask-yes").disabled = false;
  }
}

function wantToken(wanted) {
  byId("ask-token-line").hidden = !wanted;
  byId("ask-token").required = wanted;
}

function problem(text) {
  byId("ask-problem").textContent = text;
  byId("ask-problem").hidden = !text;
}
