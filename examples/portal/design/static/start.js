import { initAll } from './govuk-frontend.min.js';

// The stylesheet shows what a chosen radio button calls for: GOV.UK's script would say so in an
// attribute that radio buttons may not have.
for (const radios of document.querySelectorAll('[data-module="govuk-radios"]')) {
  radios.removeAttribute('data-module');
}
initAll();
