// The hours of a community by the clock of the visitor, unless another one was asked for.

// Listeners are called in the order in which they came: htmx has prepared the form by then.
document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("#zone-form");
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const field = form?.querySelector("#zone");
  if (!field || !zone || "asked" in form.dataset || field.value === zone) return;
  field.value = zone;
  form.dispatchEvent(new Event("change", { bubbles: true }));
});
