// The hours of a community by the clock of the visitor, unless another one was asked for.

const form = document.querySelector("#zone-form");
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

if (form && zone && !("asked" in form.dataset)) {
  const field = form.querySelector("#zone");
  if (field.value !== zone) {
    field.value = zone;
    form.dispatchEvent(new Event("change", { bubbles: true }));
  }
}
