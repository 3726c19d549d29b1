"use strict";

// What HTML alone does not do: times in the reader's zone, keys, whether the page is live, and cards that glide.
(() => {
  const one = (selector) => document.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // ---- times

  const today = new Intl.DateTimeFormat("en-CA").format;
  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

  function localTimes(root) {
    for (const each of all("time[datetime]", root)) {
      const moment = new Date(each.dateTime);
      if (Number.isNaN(moment.getTime())) continue;
      const day = today(moment);
      const text = (day === today(new Date()) ? "" : `${day} `) + clock.format(moment);
      if (each.textContent !== text) each.textContent = text;
      each.title = each.dateTime;
    }
  }

  // ---- live or not

  const live = one("#live");
  let lost = false;

  function say(state, text) {
    live.classList.toggle("on", state === "on");
    live.classList.toggle("off", state === "off");
    const shown = live.querySelector(".text");
    if (shown.textContent !== text) shown.textContent = text;
  }

  document.addEventListener("connected", () => {
    say("on", "Live");
    // What has changed while nobody listened is not told again.
    if (lost) htmx.trigger("#part", "refresh");
    lost = false;
  });
  for (const end of ["htmx:sse:error", "htmx:sse:close", "htmx:sse:before:connection"]) {
    document.addEventListener(end, (event) => {
      if (end === "htmx:sse:before:connection" && !event.detail.connection.attempt) return;
      lost = true;
      if (!document.hidden) say("off", "Not live");
    });
  }

  // ---- cards that have moved glide to where they are

  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let places = new Map();

  document.addEventListener("htmx:before:swap", () => {
    places = new Map(all("[data-moves] [data-card]").map((card) => [card.id, card.getBoundingClientRect()]));
  });

  document.addEventListener("htmx:after:swap", () => {
    localTimes(document);
    const cards = all("[data-moves] [data-card]");
    for (const card of cards) {
      const before = places.get(card.id);
      const now = card.getBoundingClientRect();
      if (before && before.x === now.x && before.y === now.y) continue;
      if (!before || before.x !== now.x) {
        card.classList.remove("fresh");
        void card.offsetWidth;
        card.classList.add("fresh");
      }
      if (!before || still.matches) continue;
      card.animate(
        [{ transform: `translate(${before.x - now.x}px, ${before.y - now.y}px)` }, { transform: "none" }],
        { duration: 380, easing: "cubic-bezier(.2, .8, .2, 1)" },
      );
    }
  });

  // ---- keys

  const dialog = one("#keys");
  const choice = one("#keys-on");
  const wanted = () => {
    try { return localStorage.getItem("keys") !== "off"; } catch { return true; }
  };
  choice.checked = wanted();
  choice.addEventListener("change", () => {
    try { localStorage.setItem("keys", choice.checked ? "on" : "off"); } catch { /* then for this page only */ }
  });
  const opener = one("[data-opens]");
  opener.hidden = false;
  opener.addEventListener("click", () => dialog.showModal());

  let goes = 0;

  function step(by) {
    const items = all("#main [data-item]");
    if (!items.length) return;
    const at = items.indexOf(document.activeElement);
    const next = items[at < 0 ? (by > 0 ? 0 : items.length - 1) : Math.min(Math.max(at + by, 0), items.length - 1)];
    next.focus();
    next.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || dialog.open) return;
    if (event.target.closest("input, textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === "?") {
      dialog.showModal();
    } else if (!choice.checked) {
      return;
    } else if (goes && event.timeStamp - goes < 1500) {
      goes = 0;
      const link = all("[data-key]").find((each) => each.dataset.key === event.key);
      if (!link) return;
      link.click();
    } else if (event.key === "g") {
      goes = event.timeStamp;
      return;
    } else if (event.key === "j" || event.key === "k") {
      step(event.key === "j" ? 1 : -1);
    } else if (event.key === "/") {
      const field = one("#q");
      if (field) field.focus();
      else location.href = "/studies#q";
    } else {
      return;
    }
    event.preventDefault();
  });

  one(".menu [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  if (location.hash === "#q") one("#q")?.focus();
  localTimes(document);
})();
