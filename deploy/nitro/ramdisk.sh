# How a ramdisk is put together: files into a tree, and the tree into an archive whose bytes depend on the files' names,
# modes and contents alone. To be sourced.
# shellcheck shell=bash

umask 022

# add_file TREE MODE FILE PATH
add_file() { install -D -m "$2" "$3" "$1/$4"; }

# add_program TREE FILE PATH: the program without its symbols, and the shared libraries that it was linked with.
add_program() {
  local tree=$1 file=$2 path=$3 library
  install -d -m 755 "$(dirname "$tree/$path")"
  strip --strip-all -R .comment -R .note.gnu.build-id -o "$tree/$path" "$file"
  chmod 755 "$tree/$path"
  # A static program has none, and ldd says so with a failure. What this shell preloads is none of the program's.
  { env -u LD_PRELOAD -u LD_LIBRARY_PATH ldd "$file" 2>/dev/null || true; } | awk '/not found/ { exit 1 } $2 == "=>" { print $3 } $1 ~ "^/" { print $1 }' |
    while IFS= read -r library; do
      case $library in
        /lib64/*) install -D -m 755 "$library" "$tree$library" ;; # the loader's path is in the program
        *) install -D -m 755 "$library" "$tree/lib/x86_64-linux-gnu/$(basename "$library")" ;;
      esac
    done
}

# add_modules TREE FOLDER NAME...: kernel modules, and the lines of /etc/coffer/boot that load them, on stdout. What the folder
# does not have is taken to be part of the kernel itself.
add_modules() {
  local tree=$1 folder=$2 name
  shift 2
  for name in "$@"; do
    [[ -f $folder/$name.ko ]] || continue
    add_file "$tree" 644 "$folder/$name.ko" "lib/modules/$name.ko"
    echo "module /lib/modules/$name.ko"
  done
}

# pack TREE FILE: no times, owners, inode numbers or names of this machine.
pack() {
  find "$1" -type d -exec chmod 755 {} +
  find "$1" -exec touch -h -d @0 {} +
  (cd "$1" && find . -mindepth 1 -print0 | LC_ALL=C sort -z |
    cpio --quiet --null --create --format=newc --reproducible --owner=+0:+0) | gzip -n >"$2"
}
