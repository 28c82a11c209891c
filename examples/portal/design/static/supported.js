// What GOV.UK Frontend asks to be set before the page shows; no inline script is allowed here.
document.body.className += ' js-enabled' + ('noModule' in HTMLScriptElement.prototype ? ' govuk-frontend-supported' : '');
