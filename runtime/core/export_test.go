package core

// ForgetMountSetattr has a launcher make its plans as on a kernel before 5.12.
func (l *Launcher) ForgetMountSetattr() { l.host.MountSetattr = false }
