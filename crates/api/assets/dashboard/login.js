import { startLanguage, word } from './words.js';

const failed = document.body.dataset.failed;
const key = document.getElementById('key');
const failure = document.getElementById('failure');

function showFailure() {
  failure.hidden = !failed;
  failure.textContent = failed ? word(`login.${failed}`) : '';
  key.setAttribute('aria-invalid', String(failed === 'wrong-key' || failed === 'wrong-scope'));
}

startLanguage(showFailure);
showFailure();
