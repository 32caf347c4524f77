// Two things that HTML alone cannot do: take the token out of a link, and renew parts
// of a page when the server says that there is something new.
"use strict";

function signIn() {
  const form = document.getElementById("login");
  const token = window.location.hash.slice(1);
  if (!form || !token) return;
  history.replaceState(null, "", "/login"); // out of the history
  form.elements.token.value = token;
  if (form.dataset.again === "yes") form.requestSubmit();
}

// A picture takes its place once it is loaded, so that nothing flickers.
async function settled(part) {
  const pictures = [...part.querySelectorAll("img")];
  await Promise.allSettled(pictures.map((one) => one.decode()));
}

function busy(part) {
  const now = document.activeElement;
  return part.contains(now) && now.matches("input, textarea, select");
}

function focusedLink(part) {
  const now = document.activeElement;
  return part.contains(now) ? now.getAttribute("href") : null;
}

async function renewPart(old, fresh) {
  const same = fresh.innerHTML === old.innerHTML;
  const typed = busy(old) || [...old.querySelectorAll("textarea")].some((one) => one.value) ||
    old.querySelector("input:checked") !== null;
  if (same || typed) return;
  const part = document.importNode(fresh, true);
  await settled(part);
  const href = focusedLink(old);
  const scrolled = [...old.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
  old.replaceChildren(...part.childNodes);
  old.querySelectorAll(".scroll").forEach((one, i) => (one.scrollLeft = scrolled[i] ?? 0));
  if (href) old.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus();
}

async function renew() {
  const answer = await fetch(window.location.href, { redirect: "manual" });
  if (answer.type === "opaqueredirect") return window.location.assign("/login");
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const old of document.querySelectorAll("[data-part]")) {
    const fresh = page.querySelector(`[data-part="${old.dataset.part}"]`);
    if (fresh) await renewPart(old, fresh);
  }
}

function watch(main) {
  let known = null, running = false, again = false;
  const stream = new EventSource(main.dataset.live);
  const told = document.querySelector(".live");
  const tell = (how) => {
    told.hidden = false;
    told.dataset.how = how;
    told.textContent = how === "on" ? "live" : "not connected";
  };
  stream.addEventListener("open", () => tell("on"));
  stream.addEventListener("error", () => tell("off"));
  stream.addEventListener("mark", async (event) => {
    if (event.data === known) return;
    known = event.data;
    again = true;
    if (running) return;
    running = true;
    while (again) {
      again = false;
      await renew().catch(() => tell("off"));
    }
    running = false;
  });
  // A stream that stays open would keep the page out of the back-forward cache.
  window.addEventListener("pagehide", () => stream.close());
  window.addEventListener("pageshow", (event) => event.persisted && window.location.reload());
}

signIn();
const main = document.querySelector("main[data-live]");
if (main) watch(main);
