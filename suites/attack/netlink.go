package attack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Netlink is a message to the kernel, netlink(7): a header of its family, then attributes. The
// harness uses it too.
type Netlink struct {
	Type, Flags uint16 // NLM_F_REQUEST is added
	body        []byte
}

// NewNetlink returns a message with the header of its family: struct ifinfomsg, struct rtmsg...
func NewNetlink(kind, flags uint16, header []byte) *Netlink {
	return &Netlink{Type: kind, Flags: flags, body: append([]byte{}, header...)}
}

// Attr adds an attribute: its length and type, its data, and padding to four bytes.
func (m *Netlink) Attr(kind uint16, data []byte) *Netlink {
	m.body = binary.NativeEndian.AppendUint16(m.body, uint16(unix.SizeofRtAttr+len(data)))
	m.body = binary.NativeEndian.AppendUint16(m.body, kind)
	m.body = append(m.body, data...)
	m.body = append(m.body, make([]byte, -len(data)&3)...)
	return m
}

// Text adds an attribute that is a string with its NUL byte.
func (m *Netlink) Text(kind uint16, text string) *Netlink {
	return m.Attr(kind, append([]byte(text), 0))
}

// Word adds an attribute of four bytes in the host's order.
func (m *Netlink) Word(kind uint16, v uint32) *Netlink {
	return m.Attr(kind, binary.NativeEndian.AppendUint32(nil, v))
}

// Nest adds an attribute that holds those that fill adds. A header may come before them.
func (m *Netlink) Nest(kind uint16, header []byte, fill func(*Netlink)) *Netlink {
	inner := NewNetlink(0, 0, header)
	fill(inner)
	return m.Attr(kind, inner.body)
}

// Talk sends messages in one piece, in the network namespace of the calling thread, and returns
// the payloads of the answers. It waits for the acknowledgement of each message with
// NLM_F_ACK and for the end of each dump. The first error that the kernel answers ends it.
func Talk(protocol int, messages ...*Netlink) (answers [][]byte, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	bound := unix.Timeval{Sec: 5} // an answer that never comes
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &bound); err != nil {
		return nil, fmt.Errorf("bound the wait for netlink: %w", err)
	}
	var out []byte
	wait := 0
	for i, m := range messages {
		if m.Flags&(unix.NLM_F_ACK|unix.NLM_F_DUMP) != 0 {
			wait++
		}
		out = binary.NativeEndian.AppendUint32(out, uint32(unix.SizeofNlMsghdr+len(m.body)))
		out = binary.NativeEndian.AppendUint16(out, m.Type)
		out = binary.NativeEndian.AppendUint16(out, m.Flags|unix.NLM_F_REQUEST)
		out = binary.NativeEndian.AppendUint32(out, uint32(i+1))
		out = append(append(out, 0, 0, 0, 0), m.body...)
	}
	if err := unix.Sendto(fd, out, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("send to netlink: %w", err)
	}
	buf := make([]byte, 64<<10)
	for wait > 0 {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err != nil {
			return answers, fmt.Errorf("hear from netlink: %w", err)
		}
		more, done, err := answersOf(buf[:n])
		answers = append(answers, more...)
		if err != nil {
			return answers, err
		}
		wait -= done
	}
	return answers, nil
}

// answersOf takes one datagram apart: payloads, and how many messages it completes.
func answersOf(datagram []byte) (answers [][]byte, done int, err error) {
	parts, err := syscall.ParseNetlinkMessage(append([]byte{}, datagram...))
	if err != nil {
		return nil, 0, fmt.Errorf("read netlink answer: %w", err)
	}
	for i := range parts {
		switch parts[i].Header.Type {
		case unix.NLMSG_DONE:
			done++
		case unix.NLMSG_ERROR:
			if len(parts[i].Data) < 4 {
				return answers, done, errors.New("read netlink answer: it is cut")
			}
			if code := int32(binary.NativeEndian.Uint32(parts[i].Data)); code != 0 {
				return answers, done, unix.Errno(-code)
			}
			done++
		default:
			answers = append(answers, parts[i].Data)
		}
	}
	return answers, done, nil
}

// Headers of rtnetlink(7) messages.

// LinkHeader is struct ifinfomsg: a link, and flags to set on it.
func LinkHeader(index int, flags uint32) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	binary.NativeEndian.PutUint32(b[12:], flags)
	return b
}

// AddressHeader is struct ifaddrmsg. Duplicate address detection is left out.
func AddressHeader(family, prefix byte, index int) []byte {
	b := make([]byte, unix.SizeofIfAddrmsg)
	b[0], b[1], b[2] = family, prefix, unix.IFA_F_NODAD
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	return b
}

// RouteHeader is struct rtmsg of the main table, for a destination of prefix bits.
func RouteHeader(family, prefix, scope, kind byte) []byte {
	b := make([]byte, unix.SizeofRtMsg)
	b[0], b[1], b[4], b[5], b[6], b[7] = family, prefix, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, scope, kind
	return b
}

// Create are the flags of a message that makes something new and waits to hear of it.
const Create = unix.NLM_F_CREATE | unix.NLM_F_EXCL | unix.NLM_F_ACK

// TableMessage is the type of a message to nf_tables.
func TableMessage(kind uint16) uint16 { return unix.NFNL_SUBSYS_NFTABLES<<8 | kind }

// TableHeader is struct nfgenmsg of linux/netfilter/nfnetlink.h.
func TableHeader(family byte) []byte { return []byte{family, 0, 0, 0} }

// Tables puts messages to nf_tables into the batch without which it takes none.
func Tables(messages ...*Netlink) []*Netlink {
	edge := []byte{0, 0, 0, unix.NFNL_SUBSYS_NFTABLES} // res_id is in network order
	batch := []*Netlink{NewNetlink(unix.NFNL_MSG_BATCH_BEGIN, 0, edge)}
	return append(append(batch, messages...), NewNetlink(unix.NFNL_MSG_BATCH_END, 0, edge))
}
