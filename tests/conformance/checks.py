"""What the checks share: waiting, expecting, and a certificate of our own."""

import sys
import time


def say(words):
    print(words, flush=True)


def expect(what, found, wanted):
    """Stops the check when something is not as it must be."""
    if found != wanted:
        sys.exit(f"{what}: expected {wanted!r}, found {found!r}")
    say(f"  {what}")


def until(what, look, seconds=30):
    """Looks until the answer is true; the sandbox's time runs a hundred times as fast as ours."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            say(f"  {what}")
            return found
        if time.monotonic() > end:
            sys.exit(f"{what}: not within {seconds} s; last seen: {found!r}")
        time.sleep(0.1)


def later(what, call, contains):
    """Repeats a call that is refused for now, because of something that is still under way."""

    def accepted():
        try:
            return call() or True
        except Exception as why:
            if contains in str(why):
                return None
            raise

    return until(what, accepted)


def refused(what, call, kind, contains=""):
    """Expects a call to be refused with an exception of this kind, and returns it."""
    try:
        call()
    except kind as why:
        if contains not in str(why):
            sys.exit(f"{what}: refused, but not because of {contains!r}: {why}")
        say(f"  {what}")
        return why
    sys.exit(f"{what}: it was not refused")


def certificate(name):
    """A self-signed certificate and its key, both in PEM."""
    from datetime import datetime, timedelta, timezone

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.TraditionalOpenSSL
    pem = key.private_bytes(serialization.Encoding.PEM, form, plain)
    return made.public_bytes(serialization.Encoding.PEM).decode(), pem.decode()
