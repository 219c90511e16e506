// What the library's passkey ceremony reports as an error is said on the page; the ceremony itself is allauth's.
document.addEventListener('allauth.error', event => {
  const problem = document.getElementById('passkey-problem'), name = event.detail.exception?.name;
  event.preventDefault();
  problem.textContent = name === 'InvalidStateError' ? 'This device already holds a passkey of yours'
    : name === 'SecurityError' || !window.PublicKeyCredential ? 'This address or browser cannot use passkeys'
    : 'No passkey was given. Try again';
  problem.hidden = false;
});
