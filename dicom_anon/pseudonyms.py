"""Keyed replacement of identifiers: original to UID, number, name, code, day offset. Only this module uses the key.

Every pseudonym is BLAKE2b(key, kind, canonical original), so any worker on any day finds the same one without asking.
"""

from __future__ import annotations

import functools
import hashlib
import secrets
import unicodedata
from typing import NamedTuple

from pydicom.uid import UID_dictionary

KEY_BYTES = 32
"""Length of a key made by this package; shorter ones of at least 16 bytes are accepted."""

MIN_KEY_BYTES = 16

GREEK = [
    "Alpha",
    "Beta",
    "Gamma",
    "Delta",
    "Epsilon",
    "Zeta",
    "Eta",
    "Theta",
    "Iota",
    "Kappa",
    "Lambda",
    "Mu",
    "Nu",
    "Xi",
    "Omicron",
    "Pi",
    "Rho",
    "Sigma",
    "Tau",
    "Upsilon",
    "Phi",
    "Chi",
    "Psi",
    "Omega",
]


class Patient(NamedTuple):
    """Canonical identity of a patient: (PatientID, Issuer), or what stands in for it.

    `basis` tells from what it was made: ``id``, ``name``, ``study`` or ``none``. Pseudonyms depend on all three parts.
    """

    basis: str
    identifier: str
    issuer: str


def new_key() -> bytes:
    """Make a secret key from the system's randomness."""
    return secrets.token_bytes(KEY_BYTES)


def canonical_name(text: str) -> str:
    """Person Name in the form in which two spellings of one name are equal (PS3.5 section 6.2.1.1).

    >>> canonical_name("Ä^B") == canonical_name(" a\N{COMBINING DIAERESIS}^b^^ ") == canonical_name("Ä^B^^^=")
    True
    """
    text = unicodedata.normalize("NFC", text)
    groups = ["^".join(part.strip() for part in group.split("^")).rstrip("^ ") for group in text.split("=")]
    return " ".join("=".join(groups).rstrip("=").casefold().split())


class Pseudonyms:
    """Keyed pseudonyms.

    Parameters
    ----------
    key : bytes
        Secret of at least 16 bytes. Who has it can link originals and pseudonyms; who has not can't.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < MIN_KEY_BYTES:
            raise ValueError(f"a key has at least {MIN_KEY_BYTES} bytes")
        self._key = hashlib.blake2b(key, digest_size=64, person=b"dicom-anon").digest()
        self._keyed = functools.cache(self._new_hasher)
        self.uid = functools.lru_cache(maxsize=1 << 17)(self._uid)

    @property
    def key_id(self) -> str:
        """Name of the key that tells nothing about it: 16 hex digits."""
        return self._digest("key-id", "")[:8].hex()

    def _digest(self, kind: str, original: str) -> bytes:
        hasher = self._keyed(kind).copy()
        hasher.update(original.encode("utf-8", "surrogateescape"))
        return hasher.digest()

    def _new_hasher(self, kind: str) -> hashlib.blake2b:
        return hashlib.blake2b(key=self._key, digest_size=16, person=kind.encode())

    def number(self, kind: str, original: str, below: int) -> int:
        """Evenly spread number of 0 to `below` - 1."""
        return int.from_bytes(self._digest(kind, original), "big") % below

    def _uid(self, original: str) -> str:
        """Replace a UID by one of the root 2.25 (PS3.5 section B.2); a registered UID of the Standard stays.

        The same original gives the same UID wherever it stands. Padding is not part of it.
        """
        original = original.strip(" \0")
        if not original or original in UID_dictionary:
            return original
        return self._made_uid("uid", original)

    def instance_uid(self, original: str) -> str:
        """Replace a UID even where it is a registered one: no object may have a Standard's UID for its own."""
        original = original.strip(" \0")
        return self._made_uid("uid", original) if original else original  # most stand in one file: nothing to cache

    def study_uid(self, study: str) -> str:
        """Make a UID with no meaning that all files of a source study share."""
        return self._made_uid("study-uid", study)

    def file_set_uid(self, content: str) -> str:
        """Make a UID for a file-set, the same for the same content."""
        return self._made_uid("file-set-uid", content)

    def _made_uid(self, kind: str, original: str) -> str:
        digest = bytearray(self._digest(kind, original))
        digest[6] = digest[6] & 0x0F | 0x80  # RFC 9562: version 8, variant 10
        digest[8] = digest[8] & 0x3F | 0x80
        return f"2.25.{int.from_bytes(digest, 'big')}"

    def digits(self, kind: str, original: str) -> str:
        """16 digits, the first one not zero: what fits an SH or LO field of any system."""
        return str(10**15 + self.number(kind, original, 9 * 10**15))

    def code(self, kind: str, original: str) -> str:
        """16 upper-case hexadecimal digits."""
        return self._digest(kind, original)[:8].hex().upper()

    def person_name(self, patient: str) -> str:
        """Name of the form ``Greek^Greek^^^``: of use to people, unique only together with the PatientID."""
        choice = self.number("name", patient, len(GREEK) ** 2)
        return f"{GREEK[choice // len(GREEK)]}^{GREEK[choice % len(GREEK)]}^^^"

    def patient(self, patient: Patient) -> str:
        """Text under which a patient's pseudonyms are keyed: unambiguous, never shown."""
        return "\x1f".join((patient.basis, patient.identifier, patient.issuer))


_MASK = (1 << 64) - 1


def _rotate(word: int, bits: int) -> int:
    return (word << bits | word >> (64 - bits)) & _MASK


def siphash24(key: bytes, message: bytes) -> int:
    """SipHash-2-4 of Aumasson and Bernstein, 64 bits: Python's own keyed hash has no public interface.

    >>> hex(siphash24(bytes(range(16)), bytes(range(15))))
    '0xa129ca6149be45e5'
    """
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:16], "little")
    v0, v1, v2, v3 = (
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    )
    tail = len(message) % 8
    words = [int.from_bytes(message[i : i + 8], "little") for i in range(0, len(message) - tail, 8)]
    words.append((len(message) & 0xFF) << 56 | int.from_bytes(message[len(message) - tail :], "little"))
    for word, rounds in [(word, 2) for word in words] + [(None, 4)]:
        if word is None:
            v2 ^= 0xFF
        else:
            v3 ^= word
        for _ in range(rounds):
            v0 = (v0 + v1) & _MASK
            v1 = _rotate(v1, 13) ^ v0
            v0 = _rotate(v0, 32)
            v2 = (v2 + v3) & _MASK
            v3 = _rotate(v3, 16) ^ v2
            v0 = (v0 + v3) & _MASK
            v3 = _rotate(v3, 21) ^ v0
            v2 = (v2 + v1) & _MASK
            v1 = _rotate(v1, 17) ^ v2
            v2 = _rotate(v2, 32)
        if word is not None:
            v0 ^= word
    return v0 ^ v1 ^ v2 ^ v3


def mercure_hash_acc(owner: str, name: str, accession: str) -> str:
    """mercure-anonymizer's accession hash, bit for bit, its cut of non-ASCII messages included.

    Parameters
    ----------
    owner, name : str
        Of the project; they are the key and a part of the message, in lower case.
    accession : str
        Original accession number.

    Returns
    -------
    str
        16 upper-case hexadecimal digits.

    Examples
    --------
    >>> mercure_hash_acc("Unknown", "Undefined", "ACC1")
    '7684463A627CB5C9'
    """
    key = owner.lower().ljust(16).encode()[:16]
    message = f"{name.lower()}-{accession.lower()}"
    units = len(message.encode("utf-16-le")) // 2
    return f"{siphash24(key, message.encode()[:units]):016X}"


def hash_acc_is_cut(name: str, accession: str) -> bool:
    """Tell whether mercure's hash loses the end of the accession, so that different ones may collide."""
    message = f"{name.lower()}-{accession.lower()}"
    return len(message.encode("utf-16-le")) // 2 < len(message.encode())
