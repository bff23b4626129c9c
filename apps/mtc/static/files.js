// Files by drag and drop, and with how far they are. Without this script the forms work as they stand: here
// each file goes by a request of its own, so that one that is refused says so beside its name and the others
// arrive.
"use strict";
(() => {
  document.documentElement.classList.add("script");

  // A file that is dropped beside the form would replace the page with itself.
  for (const kind of ["dragover", "drop"]) {
    addEventListener(kind, (event) => {
      if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
    });
  }

  document.querySelectorAll("form[data-drop]").forEach((form) => {
    const input = form.querySelector("input[type=file]");
    let depth = 0; // leaving a child is no leaving of the form
    form.addEventListener("dragenter", () => { depth += 1; form.classList.add("over"); });
    form.addEventListener("dragleave", () => { depth -= 1; if (depth <= 0) form.classList.remove("over"); });
    form.addEventListener("drop", (event) => {
      depth = 0;
      form.classList.remove("over");
      const files = event.dataTransfer.files;
      if (!files.length) return;
      if (!input.multiple && files.length > 1) return say(form, "One file at a time, please.");
      input.files = files;
      input.dispatchEvent(new Event("change", {bubbles: true}));
      if (form.dataset.attach) form.requestSubmit();
      else form.querySelector("button").focus();
    });
    if (form.dataset.attach) form.addEventListener("submit", (event) => attach(event, form, input));
  });

  function say(form, words) {
    const region = form.querySelector("[data-said]");
    if (region) region.textContent = words;
  }

  function attach(event, form, input) {
    event.preventDefault();
    const files = [...input.files];
    const most = Number(form.dataset.most);
    const list = form.querySelector("[data-moving]");
    list.replaceChildren();
    if (files.length > most) {
      line(list, `${files.length} files`).failed(`At most ${most} at once.`);
      return say(form, `At most ${most} files at once.`);
    }
    upload(form, files);
  }

  async function upload(form, files) {
    const button = form.querySelector("button");
    const list = form.querySelector("[data-moving]");
    button.disabled = true;
    say(form, files.length === 1 ? `${files[0].name} is on its way.` : `${files.length} files are on their way.`);
    const lines = files.map((file) => line(list, file.name));
    let attached = 0;
    for (const [index, file] of files.entries()) attached += await send(form, file, lines[index]);
    button.disabled = false;
    form.querySelector("input[type=file]").value = "";
    if (attached) await refresh();
    const failed = files.length - attached;
    const told = lines.map((each) => each.told()).filter(Boolean);
    say(form, [attached && `${attached} attached.`, failed && `${failed} not attached: ${told.join(" ")}`].filter(Boolean).join(" "));
    // What has arrived stands in the list above; what has not stays here with its reason.
    list.querySelectorAll("li:not(.failed)").forEach((each) => each.remove());
    (list.querySelector("li") || document.getElementById("attachments-title")).focus();
  }

  // A file on its way: its name, a bar, a button that stops it, and in the end why it was not taken.
  function line(list, name) {
    const item = document.createElement("li");
    const called = document.createElement("span");
    const bar = document.createElement("progress");
    const stop = document.createElement("button");
    const why = document.createElement("span");
    item.tabIndex = -1;
    called.className = "called";
    called.textContent = name;
    bar.max = 1;
    bar.value = 0;
    bar.setAttribute("aria-label", name);
    stop.type = "button";
    stop.className = "quiet";
    stop.textContent = "Stop";
    stop.setAttribute("aria-label", `Stop ${name}`);
    why.className = "why";
    item.append(called, bar, stop, why);
    list.append(item);
    return {
      stop,
      moved(part) { bar.value = part; },
      checking() { bar.removeAttribute("value"); stop.remove(); },
      done() { bar.value = 1; stop.remove(); },
      failed(words, again) {
        bar.remove();
        stop.remove();
        item.classList.add("failed");
        why.textContent = words;
        if (!again) return;
        const retry = stop.cloneNode();
        retry.textContent = "Try again";
        retry.setAttribute("aria-label", `Try again: ${name}`);
        retry.addEventListener("click", () => again(item));
        item.append(retry);
      },
      told: () => why.textContent && `${name}: ${why.textContent}`,
    };
  }

  function send(form, file, shown) {
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      const body = new FormData();
      const fail = (words, again) => { shown.failed(words, again); resolve(0); };
      const again = (item) => { // chosen once is enough
        if (form.querySelector("button").disabled) return say(form, "Wait for those on their way.");
        item.remove();
        upload(form, [file]);
      };
      body.append("csrf_token", form.elements.csrf_token.value);
      body.append("file", file);
      request.open("POST", form.dataset.attach);
      request.setRequestHeader("Accept", "application/json");
      request.setRequestHeader("X-CSRFToken", form.elements.csrf_token.value);
      request.upload.addEventListener("progress", (event) => shown.moved(event.loaded / event.total));
      request.upload.addEventListener("load", () => shown.checking());
      request.addEventListener("error", () => fail("The connection broke off.", again));
      request.addEventListener("abort", () => fail("Stopped.", again));
      request.addEventListener("load", () => {
        if (request.status === 201) { shown.done(); return resolve(1); }
        if (request.status === 401) location.reload(); // to the sign-in page, and back
        fail(reason(request));
      });
      shown.stop.addEventListener("click", () => request.abort());
      request.send(body);
    });
  }

  function reason(request) {
    try {
      const told = JSON.parse(request.responseText);
      return told.detail && told.title && !told.refused ? `${told.title} ${told.detail}` : told.detail || told.title;
    } catch {
      return `It was not taken (${request.status}).`;
    }
  }

  // The list as the server writes it.
  async function refresh() {
    const answer = await fetch(location.pathname, {headers: {"Accept": "text/html"}}).catch(() => null);
    if (!answer?.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const files = page.querySelector("[data-files]");
    if (files) document.querySelector("[data-files]").replaceWith(files);
  }
})();
