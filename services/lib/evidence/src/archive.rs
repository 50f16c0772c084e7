//! The one spelling of a tar archive (POSIX.1-1988, "ustar"): regular files of mode 0644 of nobody and of no time, each behind its header and filled up with
//! zeros to whole blocks, and two blocks of zeros at the end. Any tar reads it.

/// The length of a block, in bytes.
pub const BLOCK_BYTES: usize = 512;
/// What an archive ends in, in bytes: zeros.
pub const END_BYTES: usize = 2 * BLOCK_BYTES;
/// The longest file, in bytes: what eleven octal digits count.
pub const FILE_BYTES_MAX: u64 = (1 << 33) - 1;
/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 99;

/// The header of a file. `None`: its name or its length has no room there, or the name is not a plain one.
pub fn header(name: &str, bytes: u64) -> Option<[u8; BLOCK_BYTES]> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_plain) || bytes > FILE_BYTES_MAX {
        return None;
    }
    let mut header = [0; BLOCK_BYTES];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{bytes:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    // The sum is made with blanks in its own place.
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Some(header)
}

/// The name and the length of the file that a header is of; `None` of what [`header`] did not make.
pub fn read_header(block: &[u8; BLOCK_BYTES]) -> Option<(String, u64)> {
    let name_ends = block.iter().position(|byte| *byte == 0)?;
    let name = std::str::from_utf8(&block[..name_ends]).ok()?;
    let digits = std::str::from_utf8(&block[124..135]).ok()?;
    let bytes = u64::from_str_radix(digits, 8).ok()?;
    (header(name, bytes)? == *block).then(|| (name.to_owned(), bytes))
}

/// How many zeros fill the last block of a file.
pub fn padding(bytes: u64) -> usize {
    let block = BLOCK_BYTES as u64;
    ((block - bytes % block) % block) as usize
}
