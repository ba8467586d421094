#!/bin/sh
# enter.sh EMULATOR STORE LAYERS USER FOLDER [ro|rw SOURCE TARGET ...] -- COMMAND [ARGUMENT ...]
#
# Becomes COMMAND in a container of an image for arm64. Start it as root of new user, mount and PID namespaces: nothing that it
# registers or mounts is visible outside, and all of it ends with COMMAND.
#
# EMULATOR  qemu-aarch64, linked statically
# STORE     a folder with the unpacked layers, and an empty folder `mnt`
# LAYERS    names of the image's layers, the highest first, with a colon between two
# USER      UID:GID of the command
# FOLDER    its working directory
# SOURCE    a folder that the container sees at TARGET, read-only or not
set -eu

emulator=$1 store=$2 layers=$3 user=$4 folder=$5
shift 5

# overlayfs gets relative paths: the mount options hold one page, and a colon in a path would divide it.
cd "$store"
mount -t tmpfs tmpfs mnt
mkdir mnt/binfmt mnt/upper mnt/work mnt/root

# An ELF file (64 bits, little endian) that is a program or a shared object (2, 3) for AArch64 (0xb7).
# F: the kernel opens the emulator now, so a container need not contain it. O: it gets the program as an open file.
# C: it gets the credentials of the program.
magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
mount -t binfmt_misc binfmt_misc mnt/binfmt
printf '%s' ":arm64:M::$magic:$mask:$emulator:OCF" >mnt/binfmt/register

# What a container writes outside its folders goes to memory, and ends with it.
mount -t overlay overlay -o "userxattr,lowerdir=$layers,upperdir=mnt/upper,workdir=mnt/work" mnt/root
root=$store/mnt/root
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
    mkdir -p "$root$3"
    mount --bind "$2" "$root$3"
    [ "$1" = rw ] || mount -o remount,bind,ro "$root$3"
    shift 3
done
shift

if [ "$user" = 0:0 ]; then
    exec unshare --root="$root" --wd="$folder" -- "$@"
fi
# Only root is mapped here: another user takes its place in one more namespace, which uses the same emulator.
exec unshare --user --map-user="${user%:*}" --map-group="${user#*:}" --root="$root" --wd="$folder" -- "$@"
