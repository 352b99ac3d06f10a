// Passkeys in the browser: a form with `data-passkey` asks the server for a question, hands it to
// the device, and sends the answer. Without this file, or on a device that has no passkeys, such
// forms stay hidden, and the other ways (a code, a link) are there.
//
//   <form data-passkey="get" data-question="/sign-in/passkey/question" action="/sign-in/passkey"
//         data-failed="…" data-cancelled="…" hidden> … csrf, label … <p role="alert"></p></form>

const supported =
  "PublicKeyCredential" in window &&
  "parseCreationOptionsFromJSON" in PublicKeyCredential &&
  "toJSON" in PublicKeyCredential.prototype;

/** What the server says for people to read. */
class Said extends Error {}

async function posted(form, url, body) {
  const answer = await fetch(url, {
    method: "POST",
    credentials: "same-origin",
    headers: {
      "Content-Type": "application/json",
      "X-CSRF-Token": form.elements.csrf.value,
    },
    body: JSON.stringify(body),
  });
  const found = await answer.json();
  if (!answer.ok) {
    throw new Said(found.message || form.dataset.failed);
  }
  return found;
}

async function asked(form) {
  const question = await posted(form, form.dataset.question, {});
  if (form.dataset.passkey === "create") {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(question);
    return navigator.credentials.create({ publicKey });
  }
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(question);
  return navigator.credentials.get({ publicKey });
}

function words(form, error) {
  if (error instanceof Said) {
    return error.message;
  }
  const isCancelled = error.name === "NotAllowedError" || error.name === "AbortError";
  return isCancelled ? form.dataset.cancelled : form.dataset.failed;
}

async function use(form) {
  const alert = form.querySelector("[role=alert]");
  const button = form.querySelector("button");
  alert.textContent = "";
  button.disabled = true;
  try {
    const credential = await asked(form);
    const label = form.elements.label ? form.elements.label.value : "";
    const body = { answer: JSON.stringify(credential.toJSON()), label };
    const done = await posted(form, form.getAttribute("action"), body);
    window.location.assign(done.to);
  } catch (error) {
    alert.textContent = words(form, error);
    button.disabled = false;
  }
}

if (supported) {
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      use(form);
    });
  }
}
