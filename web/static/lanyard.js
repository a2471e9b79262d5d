// Makes pages quicker to use. Every page works without it.

document.body.classList.add("js-enabled");
if ("noModule" in HTMLScriptElement.prototype) {
  document.body.classList.add("nhsuk-frontend-supported");
}

// A page that says what went wrong takes the focus there, so that it is read
// out and seen first.
document.querySelector(".nhsuk-error-summary")?.focus();

// A form is sent once. Coming back to the page by the back button opens it
// again.
for (const form of document.querySelectorAll('form[method="post"]')) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
  });
}
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
  }
});

// The answer to an application goes by itself, and as if its button had been
// pressed, so that pressing it too sends nothing twice: a code that comes twice
// is taken for stolen. The method is taken from the prototype because a field
// of that name would hide it.
const answer = document.querySelector("form[data-lanyard-submit]");
if (answer) HTMLFormElement.prototype.requestSubmit.call(answer);

// A page that the browser lets nowhere says so, and can be sent again.
const stuck = document.querySelector("[data-lanyard-stuck]");
if (stuck) {
  const say = () => {
    stuck.hidden = false;
    delete answer.dataset.sent;
  };
  setTimeout(say, 4000);
  addEventListener("pageshow", (event) => event.persisted && say());
}

// A page that waits for a desk says what happens there, and is loaded again
// when it is time to go on. Where news cannot be sent, it asks for them.
const desk = document.querySelector("[data-lanyard-events]");
if (desk) {
  const { lanyardEvents: address, lanyardAgain: again } = desk.dataset;
  const stream = new EventSource(address);
  for (const byHand of document.querySelectorAll("[data-lanyard-by-hand]")) byHand.hidden = true;
  const late = document.querySelector("[data-lanyard-late]");
  const soon = document.querySelector("[data-lanyard-soon]");
  let left = false;
  let there = false;
  // Only who has opened the program can miss it.
  late?.closest("main").querySelector('a[href^="lanyard-desk:"]').addEventListener("click", () => {
    setTimeout(() => {
      if (there) return;
      late.hidden = false;
      desk.textContent = late.dataset.lanyardLate;
    }, 6000);
  });
  let lost;
  const tell = (news) => {
    clearTimeout(lost);
    const back = desk.textContent === desk.dataset.lanyardOffline;
    there ||= news.event !== "waiting";
    if (there && late) late.hidden = true;
    if (soon) {
      soon.textContent = news.soon ?? "";
      soon.hidden = !news.soon;
    }
    if (news.ended && !left) {
      left = true;
      stream.close();
      location.replace(again);
    } else if (news.text && (news.event !== "waiting" || back) && desk.textContent !== news.text) {
      desk.textContent = news.text;
    }
  };
  for (const name of ["waiting", "agent", "progress", "signed", "refused", "over"]) {
    stream.addEventListener(name, (event) => tell(JSON.parse(event.data)));
  }
  const ask = async () => {
    try {
      const answer = await fetch(address, { headers: { accept: "application/json" } });
      if (answer.ok) tell(await answer.json());
    } catch {
      desk.textContent = desk.dataset.lanyardOffline;
    } finally {
      if (!left) setTimeout(ask, 2000);
    }
  };
  // A stream ends now and then and begins again by itself. One that does not has
  // lost its server.
  stream.addEventListener("error", () => {
    if (left) return;
    if (stream.readyState === EventSource.CLOSED) setTimeout(ask, 2000);
    clearTimeout(lost);
    lost = setTimeout(() => (desk.textContent = desk.dataset.lanyardOffline), 4000);
  });
}

// Typing in the search box hides what does not fit. What is chosen stays in
// sight, so nobody continues with a role that they cannot see.
const query = document.querySelector("input[data-lanyard-filter]");
if (query) {
  const items = [...document.getElementById(query.dataset.lanyardFilter).children];
  const found = document.querySelector("[data-lanyard-found]");
  const filter = () => {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const item of items) {
      const text = item.textContent.toLowerCase();
      const fits = words.every((word) => text.includes(word));
      item.hidden = !fits && !item.querySelector("input").checked;
      if (!item.hidden) shown++;
    }
    for (const button of document.querySelectorAll(`form:has(#${query.dataset.lanyardFilter}) > button`)) button.hidden = shown === 0;
    const say = found.dataset;
    found.textContent = shown
      ? say.lanyardFound.replace("[found]", shown)
      : say.lanyardNone;
  };
  query.addEventListener("input", filter);
  // Enter searches here and now; a list that the server has already cut down
  // needs the server again.
  if (query.defaultValue === "") {
    query.form.addEventListener("submit", (event) => {
      event.preventDefault();
      filter();
    });
    for (const button of document.querySelectorAll(".lanyard-search__button")) button.hidden = true;
  }
}

for (const button of document.querySelectorAll("button[data-lanyard-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.lanyardCopy).textContent.trim());
    button.textContent = button.dataset.lanyardCopied;
    document.getElementById("copied").textContent = button.dataset.lanyardCopied;
  });
}
