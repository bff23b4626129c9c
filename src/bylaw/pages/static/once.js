// A button that is pressed twice sends its form once: of two tokens, one would be good and never seen. After
// three seconds it sends again, for whoever has stopped the first. Without this script the forms work as well.
"use strict";
(() => {
  const AGAIN = 3000;
  const sent = new WeakMap();
  addEventListener("submit", (event) => {
    if (event.target.method !== "post" || event.defaultPrevented) return;
    if (event.timeStamp - sent.get(event.target) < AGAIN) return event.preventDefault();
    sent.set(event.target, event.timeStamp);
  });
})();
