package core

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// mountOption is one option of mount(8) and the OCI runtime-spec in the kernel's words.
type mountOption struct {
	flag  uintptr // MS_* of mount(2)
	clear bool    // the option takes the flag away
	attr  uint64  // MOUNT_ATTR_* of mount_setattr(2), set on the whole tree by the r… options
}

var mountOptions = map[string]mountOption{
	"async":         {flag: unix.MS_SYNCHRONOUS, clear: true},
	"atime":         {flag: unix.MS_NOATIME, clear: true},
	"bind":          {flag: unix.MS_BIND},
	"defaults":      {},
	"dev":           {flag: unix.MS_NODEV, clear: true},
	"diratime":      {flag: unix.MS_NODIRATIME, clear: true},
	"dirsync":       {flag: unix.MS_DIRSYNC},
	"exec":          {flag: unix.MS_NOEXEC, clear: true},
	"iversion":      {flag: unix.MS_I_VERSION},
	"lazytime":      {flag: unix.MS_LAZYTIME},
	"loud":          {flag: unix.MS_SILENT, clear: true},
	"noatime":       {flag: unix.MS_NOATIME},
	"nodev":         {flag: unix.MS_NODEV},
	"nodiratime":    {flag: unix.MS_NODIRATIME},
	"noexec":        {flag: unix.MS_NOEXEC},
	"noiversion":    {flag: unix.MS_I_VERSION, clear: true},
	"nolazytime":    {flag: unix.MS_LAZYTIME, clear: true},
	"norelatime":    {flag: unix.MS_RELATIME, clear: true},
	"nostrictatime": {flag: unix.MS_STRICTATIME, clear: true},
	"nosuid":        {flag: unix.MS_NOSUID},
	"nosymfollow":   {flag: msNoSymFollow},
	"rbind":         {flag: unix.MS_BIND | unix.MS_REC},
	"relatime":      {flag: unix.MS_RELATIME},
	"ro":            {flag: unix.MS_RDONLY},
	"rw":            {flag: unix.MS_RDONLY, clear: true},
	"silent":        {flag: unix.MS_SILENT},
	"strictatime":   {flag: unix.MS_STRICTATIME},
	"suid":          {flag: unix.MS_NOSUID, clear: true},
	"sync":          {flag: unix.MS_SYNCHRONOUS},

	"rro":          {attr: unix.MOUNT_ATTR_RDONLY},
	"rrw":          {attr: unix.MOUNT_ATTR_RDONLY, clear: true},
	"rnosuid":      {attr: unix.MOUNT_ATTR_NOSUID},
	"rsuid":        {attr: unix.MOUNT_ATTR_NOSUID, clear: true},
	"rnodev":       {attr: unix.MOUNT_ATTR_NODEV},
	"rdev":         {attr: unix.MOUNT_ATTR_NODEV, clear: true},
	"rnoexec":      {attr: unix.MOUNT_ATTR_NOEXEC},
	"rexec":        {attr: unix.MOUNT_ATTR_NOEXEC, clear: true},
	"rnosymfollow": {attr: unix.MOUNT_ATTR_NOSYMFOLLOW},
	"rsymfollow":   {attr: unix.MOUNT_ATTR_NOSYMFOLLOW, clear: true},
}

// msNoSymFollow is MS_NOSYMFOLLOW of linux/mount.h, which x/sys names only as MOUNT_ATTR.
const msNoSymFollow = 0x100

var propagations = map[string]uintptr{
	"private":     unix.MS_PRIVATE,
	"rprivate":    unix.MS_PRIVATE | unix.MS_REC,
	"rshared":     unix.MS_SHARED | unix.MS_REC,
	"rslave":      unix.MS_SLAVE | unix.MS_REC,
	"runbindable": unix.MS_UNBINDABLE | unix.MS_REC,
	"shared":      unix.MS_SHARED,
	"slave":       unix.MS_SLAVE,
	"unbindable":  unix.MS_UNBINDABLE,
}

// perMount maps the MS_* flags that belong to a mount, not to a file system, to what
// mount_setattr(2) calls them.
var perMount = []struct {
	flag uintptr
	attr uint64
}{
	{unix.MS_RDONLY, unix.MOUNT_ATTR_RDONLY},
	{unix.MS_NOSUID, unix.MOUNT_ATTR_NOSUID},
	{unix.MS_NODEV, unix.MOUNT_ATTR_NODEV},
	{unix.MS_NOEXEC, unix.MOUNT_ATTR_NOEXEC},
	{unix.MS_NOATIME, unix.MOUNT_ATTR_NOATIME},
	{unix.MS_NODIRATIME, unix.MOUNT_ATTR_NODIRATIME},
	{msNoSymFollow, unix.MOUNT_ATTR_NOSYMFOLLOW},
}

// mountFlags is a list of options, taken apart.
type mountFlags struct {
	flags       uintptr
	propagation uintptr
	set, clear  uint64 // MOUNT_ATTR_* for the whole tree
	data        string // what only the file system understands
}

func parseMountOptions(options []string) mountFlags {
	var m mountFlags
	var data []string
	for _, o := range options {
		if p, ok := propagations[o]; ok {
			m.propagation |= p
			continue
		}
		opt, ok := mountOptions[o]
		switch {
		case !ok:
			data = append(data, o)
		case opt.attr != 0 && opt.clear:
			m.set, m.clear = m.set&^opt.attr, m.clear|opt.attr
		case opt.attr != 0:
			m.set, m.clear = m.set|opt.attr, m.clear&^opt.attr
		case opt.clear:
			m.flags &^= opt.flag
		default:
			m.flags |= opt.flag
		}
	}
	m.data = strings.Join(data, ",")
	return m
}

// MountFlags are options in the words of mount(2), for who mounts a file system of its own and nothing more: it is
// an error to ask for propagation or for a whole tree.
func MountFlags(options []string) (flags uintptr, data string, err error) {
	m := parseMountOptions(options)
	if m.propagation != 0 || m.set|m.clear != 0 {
		return 0, "", fmt.Errorf("mount options %q: propagation and recursive options are for mounts that are there", options)
	}
	return m.flags, m.data, nil
}

// attributes are the flags that belong to the mount itself.
func (m mountFlags) attributes() uint64 {
	var attrs uint64
	for _, p := range perMount {
		if m.flags&p.flag != 0 {
			attrs |= p.attr
		}
	}
	return attrs
}

func (m mountFlags) recursive() bool { return m.flags&unix.MS_REC != 0 }

// optionText lists options as a person writes them, for the text of a step.
func optionText(options []string) string {
	if len(options) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s)", strings.Join(options, ","))
}
