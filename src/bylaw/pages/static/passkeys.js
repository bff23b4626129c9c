// Passkeys: fetches a question, has the browser ask for a passkey, and sends the answer as an ordinary form.
// A form that needs this is hidden until it is known that the browser can do it.
"use strict";
(() => {
  const can = window.PublicKeyCredential;
  if (!can?.parseRequestOptionsFromJSON || !can.prototype.toJSON) return;
  document.querySelectorAll("[data-passkey-missing]").forEach((text) => text.remove());

  const SAID = {
    NotAllowedError: "That was stopped, or took too long. Nothing was changed.",
    AbortError: "",
    InvalidStateError: "There is a passkey for your account on it already. Nothing was changed.",
    SecurityError: "Passkeys do not work at this address. Nothing was changed.",
    NotSupportedError: "This device makes no passkey that is taken here. Nothing was changed.",
  };
  const REFRESH = 240_000; // ms: before the question behind the autofill is too old
  let autofill = null; // what is asked quietly; only one question can be open
  let busy = false;

  async function question(form, signal) {
    const answer = await fetch(form.dataset.options, {
      method: "POST",
      signal,
      headers: {
        "Accept": "application/json",
        "Content-Type": "application/json",
        [form.dataset.header]: form.elements[0].value,
      },
      body: "{}",
    });
    const said = await answer.json();
    if (answer.ok) return said;
    // What is owed first has a page of its own, and this page knows the way.
    if (answer.status === 401) location.reload();
    throw Object.assign(new Error(said.detail || said.title), {name: "Refused"});
  }

  function send(form, credential) {
    form.elements.credential.value = JSON.stringify(credential.toJSON());
    form.submit();
  }

  async function ask(form) {
    autofill?.abort();
    const asked = await question(form);
    if (form.dataset.passkey === "create") {
      return navigator.credentials.create({publicKey: can.parseCreationOptionsFromJSON(asked)});
    }
    return navigator.credentials.get({publicKey: can.parseRequestOptionsFromJSON(asked)});
  }

  async function pressed(form, said) {
    if (busy) return;
    busy = true;
    said.textContent = "Waiting for your passkey…";
    try {
      send(form, await ask(form));
    } catch (error) {
      busy = false;
      said.textContent = error.name === "Refused"
        ? error.message
        : SAID[error.name] ?? "That did not work. Nothing was changed; try again.";
      if ("autofill" in form.dataset) suggest(form);
    }
  }

  // Passkeys beside the passwords that the browser suggests for the address field.
  async function suggest(form) {
    if (busy || !(await can.isConditionalMediationAvailable?.())) return;
    const mine = autofill = new AbortController();
    try {
      const publicKey = can.parseRequestOptionsFromJSON(await question(form, mine.signal));
      if (mine.signal.aborted) return;
      const again = setTimeout(() => { mine.abort(); suggest(form); }, REFRESH);
      mine.signal.addEventListener("abort", () => clearTimeout(again));
      send(form, await navigator.credentials.get({publicKey, mediation: "conditional", signal: mine.signal}));
    } catch {
      // Nobody asked for anything: there is nothing to say. The button is still there.
    }
  }

  document.querySelectorAll("form[data-passkey]").forEach((form) => {
    const said = form.querySelector(".said");
    form.addEventListener("submit", (event) => { event.preventDefault(); pressed(form, said); });
    form.hidden = false;
    if ("autofill" in form.dataset) suggest(form);
  });

  // Come back to by the browser's own button, the page would still wait for what is over.
  addEventListener("pageshow", (event) => { if (event.persisted && busy) location.reload(); });

  // A password manager forgets what was removed here (WebAuthn Level 3 section 5.1.10).
  const accepted = document.currentScript?.dataset.accepted;
  if (accepted) can.signalAllAcceptedCredentials?.(JSON.parse(accepted)).catch(() => {});
})();
