// What pages do by themselves. Each works without it, too: this only saves the payer a press or a wait.
"use strict";
(() => {
  const body = document.body;
  const all = (selector) => document.querySelectorAll(selector);
  // Anew, without one more step for the button Back; never the answer to a form that was posted.
  const anew = () => location.replace(body.dataset.here || location.href);

  // The answer to a form is no place to come back to: Back and reload lead to the page, not to the form once more.
  const posted = body.dataset.here && location.pathname !== body.dataset.here.split("?")[0];
  if (posted) history.replaceState(null, "", body.dataset.here);

  // One press is one post. Whoever stops the page while it loads can press once more.
  for (const form of all("form")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) return event.preventDefault();
      form.dataset.sent = "yes";
      const buttons = form.querySelectorAll("button:enabled");
      // Only then, or the pressed button's value is not sent.
      setTimeout(() => buttons.forEach((button) => { button.disabled = true; }));
      setTimeout(() => {
        delete form.dataset.sent;
        buttons.forEach((button) => { button.disabled = false; });
      }, 20000);
    });
  }

  // Times that run. The clock of the device may be wrong: what counts is how long the page has been there.
  const shown = (left) => `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  const opened = Date.now();
  const running = [...all("[data-seconds]")].map((place) => ({ place, seconds: Number(place.dataset.seconds) }));
  const waiting = [...all("button[data-wait]")].map((button) => ({ button, seconds: Number(button.dataset.wait), says: button.textContent }));
  const tick = () => {
    const gone = Math.floor((Date.now() - opened) / 1000);
    for (const { place, seconds } of running) {
      const left = Math.max(0, seconds - gone);
      place.textContent = shown(left);
      if (left === 0 && place.dataset.then === "reload" && seconds > 0) return anew();
    }
    for (const { button, seconds, says } of waiting) {
      const left = Math.max(0, seconds - gone);
      button.disabled = left > 0;
      button.textContent = left > 0 ? `${says} (${shown(left)})` : says;
    }
    if (running.length + waiting.length) setTimeout(tick, 1000 - ((Date.now() - opened) % 1000));
  };
  tick();

  // The address of the page, for another browser.
  for (const button of all("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const field = document.getElementById(button.dataset.copy);
      field.select();
      try { await navigator.clipboard.writeText(field.value); } catch { document.execCommand("copy"); }
      button.textContent = button.dataset.done;
    });
  }

  // A whole SMS that is pasted: the code in it, if there is no other number. Else all of it is sent, and read there.
  for (const field of all("input[autocomplete=one-time-code]")) {
    field.addEventListener("paste", (event) => {
      const codes = (event.clipboardData.getData("text").normalize("NFKC").match(/\d+/g) || []).filter((run) => run.length > 2);
      if (codes.length !== 1 || !/^\d{4,8}$/.test(codes[0])) return;
      event.preventDefault();
      field.value = codes[0];
    });
  }

  // Live: how it stands now is asked often while somebody looks, and at once when they come back to look.
  const live = document.querySelector("[data-live]");
  let timer, asking;
  const look = async () => {
    clearTimeout(timer);
    if (asking) asking.abort();
    const mine = asking = new AbortController();
    const late = setTimeout(() => mine.abort(), 8000);
    try {
      const answer = await fetch(live.dataset.live, { cache: "no-store", credentials: "omit", signal: mine.signal });
      if (answer.ok ? (await answer.text()).trim() !== live.dataset.state : answer.status === 404) return anew();
    } catch { /* cut off, or away: asked again */ }
    clearTimeout(late);
    if (mine !== asking) return;
    const often = Number(live.dataset.every) * 1000;
    timer = setTimeout(look, Date.now() - opened < 120000 && !document.hidden ? often : often * 3);
  };
  if (live) {
    timer = setTimeout(look, 1000);
    document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") look(); });
    addEventListener("online", look);
  }

  // Back from the bank: what the browser kept may be long out of date, and its button was pressed.
  addEventListener("pageshow", (event) => { if (event.persisted) anew(); });
})();
