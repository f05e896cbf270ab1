// The one script of the console. Every page does its work without it; with it secrets can be copied
// with a click, and what goes on is seen as it happens (/api/live).
"use strict";

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
}

// On a narrow screen the navigation is a line that scrolls.
document.querySelector("nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

const live = document.querySelector("[data-live]");
const state = document.getElementById("state");
if (live && state) watch(live.dataset.live);

function watch(url) {
  const source = new EventSource(url);
  source.addEventListener("open", () => tell("live", "ok"));
  source.addEventListener("error", () => tell("not connected; trying again"));
  source.addEventListener("numbers", (event) => showNumbers(JSON.parse(event.data)));
  source.addEventListener("rows", follow);
  source.addEventListener("end", (event) => {
    const { reason } = JSON.parse(event.data);
    if (reason === "closing") return; // the console comes again, and so does EventSource
    source.close();
    tell(reason === "replaced" ? "live in another tab" : "logged out");
  });
}

function tell(text, kind = "") {
  const dot = document.createElement("span");
  dot.className = `dot ${kind}`;
  state.replaceChildren(dot, text);
}

function showNumbers(numbers) {
  const { requests_today: all, failed_today: failed } = numbers;
  const shown = { ...numbers, failed_share: all ? `${((100 * failed) / all).toFixed(1)}%` : "0" };
  for (const place of document.querySelectorAll("[data-number]")) {
    const value = shown[place.dataset.number] ?? "–";
    const text = typeof value === "number" ? value.toLocaleString("en") : value;
    if (place.textContent !== text) place.textContent = text;
  }
  if (numbers.trouble) tell(numbers.trouble, "bad");
  else if (numbers.server === "silent") tell("the server does not answer", "bad");
  else tell("live", "ok");
}

// While the doctor looks, what he has found is asked for every second.
if (document.querySelector("#checkup [data-again]")) setTimeout(checkAgain, 1000);

async function checkAgain() {
  try {
    const found = (await fetchPage()).getElementById("checkup");
    document.getElementById("checkup").replaceWith(found);
  } catch {
    return; // the link is still there
  }
  if (document.querySelector("#checkup [data-again]")) setTimeout(checkAgain, 1000);
}

async function fetchPage() {
  const answer = await fetch(location.href, { redirect: "error" });
  if (!answer.ok) throw new Error(answer.statusText);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

// The table is fetched as the server renders it, and exchanged unless somebody reads further down
// or has selected something: then it is only said that there is more.
let fetching = false, again = false;
async function follow() {
  if (scrollY > 300 || !getSelection().isCollapsed) return tell("new requests above", "ok");
  if (fetching) return void (again = true);
  fetching = true;
  try {
    const found = (await fetchPage()).getElementById("rows");
    if (found) document.getElementById("rows").replaceChildren(...found.childNodes);
  } catch {
    tell("not connected; trying again");
  }
  fetching = false;
  if (again) {
    again = false;
    setTimeout(follow, 1000);
  }
}
