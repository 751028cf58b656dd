package attack

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// writeTo writes to a file that is there.
func writeTo(path, value string) (err error) {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	_, err = unix.Write(fd, []byte(value))
	return err
}

// Numbers of linux/audit.h.
const (
	AuditAddRule   = 1011
	AuditDelRule   = 1012
	AuditListRules = 1013

	auditExclude = 5  // AUDIT_FILTER_EXCLUDE
	auditNever   = 0  // AUDIT_NEVER
	auditMsgType = 12 // AUDIT_MSGTYPE
	auditEqual   = 1 << 30
	auditFields  = 64 // AUDIT_MAX_FIELDS, and AUDIT_BITMASK_SIZE
)

// AuditRule is struct audit_rule_data: never keep records of a type. No record has the type of a
// trial, so the rule changes nothing.
func AuditRule(kind uint32) []byte {
	word := binary.NativeEndian.AppendUint32
	array := func(b []byte, first uint32) []byte { return append(word(b, first), make([]byte, 4*(auditFields-1))...) }
	b := word(word(word(nil, auditExclude), auditNever), 1) // flags, action, one field
	b = array(b, 0)                                         // of system calls, none
	b = array(b, auditMsgType)
	b = array(b, kind)
	b = array(b, auditEqual)
	return word(b, 0) // no texts
}

// Audit sets its own login uid to each of Target.Paths, which are numbers, and adds an audit rule
// about records of the type Target.UID.
var Audit = Attack{Name: "kernel.audit", Run: func(a *Attempt) {
	for _, uid := range a.Target.Paths {
		a.Try("set loginuid "+uid, writeTo("/proc/self/loginuid", uid))
	}
	_, err := Talk(unix.NETLINK_AUDIT, NewNetlink(AuditAddRule, unix.NLM_F_ACK, AuditRule(a.Target.UID)))
	a.Try("add an audit rule", err)
	a.Hold("set")
}}
