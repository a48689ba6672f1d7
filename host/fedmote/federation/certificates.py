"""A CA of one's own and a broker's certificate from it. It needs the extra ``tls`` (cryptography)."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING

from fedmote.errors import FedmoteError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, CertificateBuilder, GeneralName, Name

# Boards have no clock: at power-on it is 1970, 2000 or 2021, and a certificate must not begin after that.
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
_CA_YEARS, _BROKER_YEARS = 30, 10
_RENEW = timedelta(days=365)  # before the end


@dataclass(frozen=True)
class Signed:
    """A certificate and its key, both as PEM."""

    certificate: bytes
    key: bytes


def new_ca(name: str) -> Signed:
    """Return a new CA that signs brokers' certificates only. Raises FedmoteError without the extra."""
    from cryptography import x509

    key = _new_key()
    usage = dict.fromkeys(_USAGES, False) | {"key_cert_sign": True, "crl_sign": True}
    builder = (
        _builder(_name(name), _name(name), key, _CA_YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
    )
    return _sign(builder, key, key)


def new_broker(ca: Signed, hosts: Sequence[str]) -> Signed:
    """Return a new certificate of a broker, signed by a CA.

    hosts: names and addresses by which boards and the host reach it. Raises FedmoteError where the CA cannot
    be used, for what can be no host, and without the extra.
    """
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    issuer, issuer_key = _load(ca)
    key = _new_key()
    usage = dict.fromkeys(_USAGES, False) | {"digital_signature": True}
    builder = (
        _builder(_name("fedmote broker"), issuer.subject, key, _BROKER_YEARS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    return _sign(builder, key, issuer_key)


def hosts_of(certificate: bytes) -> list[str]:
    """Return the names and addresses that a broker's certificate (PEM) is for."""
    from cryptography import x509

    extension = _parse(certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return [str(name.value) for name in extension.value]


def serves(ca: bytes, certificate: bytes, hosts: Sequence[str]) -> bool:
    """Tell whether a broker's certificate is of this CA, for exactly these hosts, and not about to expire."""
    from cryptography.exceptions import InvalidSignature

    broker = _parse(certificate)
    try:
        broker.verify_directly_issued_by(_parse(ca))
    except (InvalidSignature, ValueError, TypeError):
        return False
    remaining = broker.not_valid_after_utc - datetime.now(UTC)
    return remaining > _RENEW and sorted(hosts_of(certificate)) == sorted(hosts)


def check_installed() -> None:
    """Raise FedmoteError where the extra is missing."""
    if find_spec("cryptography") is None:
        raise FedmoteError(
            "a certificate of one's own needs the package cryptography: pip install 'fedmote[tls]', "
            "or name the broker's certificate and key with --cert and --key"
        )


_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


def _new_key() -> "EllipticCurvePrivateKey":
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())  # what every board's TLS has, and fast there


def _name(text: str) -> "Name":
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _host(text: str) -> "GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    labels = text.split(".")
    if not all(label and label.isascii() and label.replace("-", "").isalnum() for label in labels):
        raise FedmoteError(f"--host {text!r} is neither a host name nor an IP address")
    return x509.DNSName(text)


def _builder(
    subject: "Name", issuer: "Name", key: "EllipticCurvePrivateKey", years: int
) -> "CertificateBuilder":
    from cryptography import x509

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGIN)
        .not_valid_after(now.replace(year=now.year + years, day=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _sign(
    builder: "CertificateBuilder", key: "EllipticCurvePrivateKey", issuer_key: "EllipticCurvePrivateKey"
) -> Signed:
    from cryptography.hazmat.primitives import hashes, serialization

    certificate = builder.sign(issuer_key, hashes.SHA256())
    return Signed(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def _load(ca: Signed) -> tuple["Certificate", "EllipticCurvePrivateKey"]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    try:
        key = serialization.load_pem_private_key(ca.key, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, EllipticCurvePrivateKey):
        raise FedmoteError("the CA's key is damaged: put the right one back, or begin with an empty folder")
    return _parse(ca.certificate), key


def _parse(certificate: bytes) -> "Certificate":
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(certificate)
    except ValueError:
        raise FedmoteError(
            "a certificate in the folder is damaged: put the right one back, or begin with an empty folder"
        ) from None
