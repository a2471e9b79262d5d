// Passkeys and security keys: a form that asks its server for a question, lets
// the browser answer it, and sends the answer as any form is sent.

const supported = () => Boolean(navigator.credentials && globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON);

async function question(form) {
  const answer = await fetch(form.dataset.lanyardBegin, {
    method: "POST",
    headers: { accept: "application/json" },
    body: new URLSearchParams(new FormData(form)),
  });
  if (!answer.ok) throw new Error("no question");
  return answer.json();
}

// ask lets the browser answer. What it gives goes into the form's own field.
async function ask(form, { question: name, publicKey }, more) {
  const credential = form.dataset.lanyardKey === "create"
    ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) })
    : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey), ...more });
  form.querySelector("input[name=answer]").value = JSON.stringify({ question: name, credential: credential.toJSON() });
  HTMLFormElement.prototype.submit.call(form);
}

function say(form, words) {
  const place = form.querySelector("[data-lanyard-say]") ?? document.querySelector("[data-lanyard-say]");
  place.textContent = words;
  place.hidden = !words;
}

let waiting; // for a passkey that the browser offers beside a field

for (const form of document.querySelectorAll("form[data-lanyard-key]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.dataset.asking) return;
    if (!supported()) return say(form, form.dataset.lanyardUnable);
    form.dataset.asking = "yes";
    say(form, "");
    waiting?.abort(); // a browser asks for one key at a time
    try {
      await ask(form, await question(form));
    } catch {
      say(form, form.dataset.lanyardUnused);
    } finally {
      delete form.dataset.asking;
      delete form.dataset.sent;
    }
  });
}

// A page with a field for a name lets the browser offer passkeys in it, unless
// it tells of one that was refused: that one would come again.
const offered = !document.querySelector(".nhsuk-error-summary") && document.querySelector("form[data-lanyard-key=get]");
if (offered && document.querySelector("input[autocomplete~=webauthn]") && supported()
    && await PublicKeyCredential.isConditionalMediationAvailable?.()) {
  waiting = new AbortController();
  try {
    await ask(offered, await question(offered), { mediation: "conditional", signal: waiting.signal });
  } catch {
    // Nobody chose one, or the button was pressed: the page goes on as it is.
  }
}
