package kernels

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math/big"
	"testing"
	"time"
)

// signer is an OpenPGP key (RFC 4880, with EdDSA of draft-koch-eddsa-for-openpgp), so that apt can check
// signatures for real, and no gpg with its agent is needed.
type signer struct {
	key  ed25519.PrivateKey
	body []byte // of the packet of the public key
}

var made = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

func newSigner(t testing.TB) *signer {
	t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	b.WriteByte(4)
	binary.Write(&b, binary.BigEndian, uint32(made.Unix()))
	b.WriteString("\x16\x09\x2b\x06\x01\x04\x01\xda\x47\x0f\x01")
	b.Write(mpi(append([]byte{0x40}, public...)))
	return &signer{key: key, body: b.Bytes()}
}

func mpi(raw []byte) []byte {
	n := new(big.Int).SetBytes(raw)
	return append(binary.BigEndian.AppendUint16(nil, uint16(n.BitLen())), n.Bytes()...)
}

func packet(tag byte, body []byte) []byte {
	out := []byte{0xc0 | tag, 0xff}
	return append(binary.BigEndian.AppendUint32(out, uint32(len(body))), body...)
}

// prefixed is the public key as it is hashed.
func (s *signer) prefixed() []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0x99}, uint16(len(s.body))), s.body...)
}

// signature is a packet of one kind over what is signed.
func (s *signer) signature(kind byte, signed []byte) []byte {
	id := sha1.Sum(s.prefixed())
	sub := func(kind byte, data []byte) []byte { return append([]byte{byte(len(data) + 1), kind}, data...) }
	hashed := bytes.Join([][]byte{
		sub(2, binary.BigEndian.AppendUint32(nil, uint32(made.Unix()))),
		sub(33, append([]byte{4}, id[:]...)),
		sub(27, []byte{3}),
	}, nil)
	head := append([]byte{4, kind, 22, 8}, binary.BigEndian.AppendUint16(nil, uint16(len(hashed)))...)
	head = append(head, hashed...)
	h := sha256.New()
	h.Write(signed)
	h.Write(head)
	h.Write(binary.BigEndian.AppendUint32([]byte{4, 0xff}, uint32(len(head))))
	sum := h.Sum(nil)
	raw := ed25519.Sign(s.key, sum)
	unhashed := sub(16, id[12:])
	body := append(head, binary.BigEndian.AppendUint16(nil, uint16(len(unhashed)))...)
	body = append(append(body, unhashed...), sum[:2]...)
	return packet(2, append(append(body, mpi(raw[:32])...), mpi(raw[32:])...))
}

// keyring is what signed-by names.
func (s *signer) keyring() []byte {
	const who = "cellwall test"
	named := append(s.prefixed(), binary.BigEndian.AppendUint32([]byte{0xb4}, uint32(len(who)))...)
	return bytes.Join([][]byte{packet(6, s.body), packet(13, []byte(who)), s.signature(0x13, append(named, who...))}, nil)
}

// detached is an armoured signature of a file.
func (s *signer) detached(file []byte) []byte {
	raw := s.signature(0, file)
	crc := uint32(0xb704ce)
	for _, c := range raw {
		crc ^= uint32(c) << 16
		for range 8 {
			if crc <<= 1; crc&0x1000000 != 0 {
				crc ^= 0x1864cfb
			}
		}
	}
	var b bytes.Buffer
	b.WriteString("-----BEGIN PGP SIGNATURE-----\n\n")
	for text := base64.StdEncoding.EncodeToString(raw); text != ""; {
		n := min(len(text), 64)
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	b.WriteString("=" + base64.StdEncoding.EncodeToString([]byte{byte(crc >> 16), byte(crc >> 8), byte(crc)}) + "\n-----END PGP SIGNATURE-----\n")
	return b.Bytes()
}
