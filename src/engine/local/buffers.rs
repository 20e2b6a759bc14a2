//! llama.cpp's large buffers, on Linux. The linker puts these functions in the place of ggml's of the same names (`--wrap`, see
//! `build.rs`); what they cannot do better they leave to those, which are called `__real_…` here. They call what stands in ggml's
//! headers. What they take for granted beyond that holds for the pinned version, and is tested below: plain buffers of the
//! processor are private memory, and weights are laid out group of rows by group of rows, each at its old place.
//!
//! - A KV cache is as long as the longest conversation that has room, and is cleared when it is made. Fresh memory is clear: what
//!   no conversation has reached takes neither memory nor time.
//! - Weights are laid out anew for the processor each time a model is loaded, by one thread. Here all cores do it.

use std::ffi::{CStr, c_void};
use std::thread;

use llama_cpp_sys_2 as sys;

/// Smaller pieces are not worth it.
const LARGE: usize = 4 << 20;
/// The name of ggml's buffers whose tensors are laid out anew when they are set.
const REPACKED: &CStr = c"CPU_REPACK";
/// Rows of a tensor that are laid out together, or a multiple of that: 4, 8 or 16 by the processor.
const GROUP: usize = 64;

unsafe extern "C" {
    fn __real_ggml_backend_buffer_clear(buffer: sys::ggml_backend_buffer_t, value: u8);
    fn __real_ggml_backend_tensor_set(tensor: *mut sys::ggml_tensor, data: *const c_void, offset: usize, size: usize);
}

/// # Safety
/// As ggml's: the buffer lives, and nobody uses it at the same time.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_ggml_backend_buffer_clear(buffer: sys::ggml_backend_buffer_t, value: u8) {
    // SAFETY: the buffer lives. Those of this type that have a base are from `ggml_aligned_malloc`, so the range is private memory
    // of no file, which reads as zeros behind this advice; nobody uses it, and what the advice does not reach is within it too.
    unsafe {
        let is_plain = || sys::ggml_backend_buffer_get_type(buffer) == sys::ggml_backend_cpu_buffer_type();
        if value == 0 && sys::ggml_backend_buffer_get_size(buffer) >= LARGE && is_plain() {
            let (base, size) = (sys::ggml_backend_buffer_get_base(buffer), sys::ggml_backend_buffer_get_size(buffer));
            let cleared = if base.is_null() { None } else { give_back(base, size) };
            if let Some((before, len)) = cleared {
                let base = base.cast::<u8>();
                base.write_bytes(0, before);
                base.add(before + len).write_bytes(0, size - before - len);
                return;
            }
        }
        __real_ggml_backend_buffer_clear(buffer, value);
    }
}

/// # Safety
/// As ggml's: `data` has `size` bytes, and nobody uses this part of the tensor at the same time.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_ggml_backend_tensor_set(
    tensor: *mut sys::ggml_tensor,
    data: *const c_void,
    offset: usize,
    size: usize,
) {
    // SAFETY: as promised to this function; the pieces do not overlap.
    unsafe {
        let is_whole = size >= LARGE && offset == 0 && size == sys::ggml_nbytes(tensor);
        match if is_whole { rows_of_repacked(tensor) } else { None } {
            Some(rows) => set_rows(&*tensor, data.cast(), rows, thread::available_parallelism().map_or(1, usize::from)),
            None => __real_ggml_backend_tensor_set(tensor, data, offset, size),
        }
    }
}

/// Gives the whole pages of a large range back, which read as zeros from then on. Returns how many bytes lie in front of them and
/// how many they are; `None` where nothing was done.
///
/// # Safety
/// The range is private memory of no file, and nobody uses it.
unsafe fn give_back(start: *mut c_void, size: usize) -> Option<(usize, usize)> {
    // SAFETY: only asks.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(LARGE);
    let before = start.cast::<u8>().align_offset(page);
    if before > size {
        return None;
    }
    let len = (size - before) / page * page;
    // SAFETY: it lies within the range.
    let taken = unsafe { libc::madvise(start.cast::<u8>().add(before).cast(), len, libc::MADV_DONTNEED) };
    (taken == 0).then_some((before, len))
}

/// How many rows a tensor has that is laid out anew when it is set, group by group; `None` for all others.
///
/// # Safety
/// The tensor lives.
unsafe fn rows_of_repacked(tensor: *const sys::ggml_tensor) -> Option<usize> {
    // SAFETY: the tensor lives, and its buffer with it.
    let tensor = unsafe { &*tensor };
    if tensor.buffer.is_null() || !tensor.view_src.is_null() {
        return None;
    }
    // SAFETY: as above; a type's name is static.
    let name = unsafe { CStr::from_ptr(sys::ggml_backend_buft_name(sys::ggml_backend_buffer_get_type(tensor.buffer))) };
    let groups = usize::try_from(tensor.ne[1]).ok().filter(|rows| rows.is_multiple_of(GROUP));
    // SAFETY: as above.
    let rows = usize::try_from(unsafe { sys::ggml_nrows(tensor) }).ok()?;
    // SAFETY: as above.
    let is_dense = rows * tensor.nb[1] == unsafe { sys::ggml_nbytes(tensor) };
    (name == REPACKED && groups.is_some() && is_dense).then_some(rows)
}

/// Sets a tensor of so many rows, a share of them on each of so many threads. A share is laid out where it would be within the
/// whole.
///
/// # Safety
/// As for [`__wrap_ggml_backend_tensor_set`], for the whole tensor, which is one of [`rows_of_repacked`].
unsafe fn set_rows(tensor: &sys::ggml_tensor, data: *const u8, rows: usize, threads: usize) {
    let share = rows.div_ceil(threads).next_multiple_of(GROUP);
    let set = |first: usize| {
        let (row, count) = (tensor.nb[1], share.min(rows - first));
        let mut part = *tensor;
        part.ne = [tensor.ne[0], i64::try_from(count).unwrap_or(0), 1, 1];
        part.nb[2] = row * count;
        part.nb[3] = row * count;
        // SAFETY: the rows lie within the tensor and the data, and are no other share's.
        unsafe {
            part.data = tensor.data.cast::<u8>().add(first * row).cast();
            __real_ggml_backend_tensor_set(&raw mut part, data.add(first * row).cast(), 0, count * row);
        }
    };
    let set = Shared(&set);
    thread::scope(|scope| {
        for first in (share..rows).step_by(share) {
            let work = move || set.call(first);
            if thread::Builder::new().name("repack".into()).spawn_scoped(scope, work).is_err() {
                set.call(first);
            }
        }
        set.call(0);
    });
}

/// Work that threads may share though it holds pointers: each writes and reads its own rows.
#[derive(Clone, Copy)]
struct Shared<'a>(&'a dyn Fn(usize));

// SAFETY: what is called reads a tensor that nobody changes meanwhile, and writes rows that no other call does.
unsafe impl Send for Shared<'_> {}

impl Shared<'_> {
    fn call(self, first: usize) {
        (self.0)(first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tensor in a buffer for repacked ones; `None` where this processor takes that kind as it is.
    struct Weights {
        context: *mut sys::ggml_context,
        buffer: sys::ggml_backend_buffer_t,
        tensor: *mut sys::ggml_tensor,
    }

    impl Weights {
        fn new(kind: sys::ggml_type, row: i64, rows: i64) -> Option<Self> {
            // Its log is not for the screen.
            super::super::backend().unwrap();
            type Extra = unsafe extern "C" fn(sys::ggml_backend_dev_t) -> *mut sys::ggml_backend_buffer_type_t;
            let params = sys::ggml_init_params { mem_size: 1 << 16, mem_buffer: std::ptr::null_mut(), no_alloc: true };
            // SAFETY: these are ggml's own functions, given what they made; the function by name has that type in its headers,
            // and its list ends with a null pointer.
            unsafe {
                let device = sys::ggml_backend_dev_by_type(sys::GGML_BACKEND_DEVICE_TYPE_CPU);
                let registry = sys::ggml_backend_dev_backend_reg(device);
                let extra =
                    sys::ggml_backend_reg_get_proc_address(registry, c"ggml_backend_dev_get_extra_bufts".as_ptr());
                let extra: Option<Extra> = std::mem::transmute(extra);
                let mut list = extra?(device);
                while !(*list).is_null() && CStr::from_ptr(sys::ggml_backend_buft_name(*list)) != REPACKED {
                    list = list.add(1);
                }
                let place = Some(*list).filter(|place| !place.is_null())?;
                let context = sys::ggml_init(params);
                let tensor = sys::ggml_new_tensor_2d(context, kind, row, rows);
                let buffer = sys::ggml_backend_alloc_ctx_tensors_from_buft(context, place);
                let weights = Self { context, buffer, tensor };
                // What says how it is laid out.
                (!(*tensor).extra.is_null()).then_some(weights)
            }
        }

        fn size(&self) -> usize {
            // SAFETY: it lives.
            unsafe { sys::ggml_nbytes(self.tensor) }
        }

        /// What it holds after `set`, and after nothing but zeros before that.
        fn after(&self, set: impl FnOnce(&Self)) -> Vec<u8> {
            // SAFETY: the buffer and the tensor in it live and are of that size.
            unsafe {
                std::ptr::write_bytes((*self.tensor).data.cast::<u8>(), 0, self.size());
                set(self);
                std::slice::from_raw_parts((*self.tensor).data.cast::<u8>(), self.size()).to_vec()
            }
        }
    }

    impl Drop for Weights {
        fn drop(&mut self) {
            // SAFETY: both were made for it.
            unsafe {
                sys::ggml_backend_buffer_free(self.buffer);
                sys::ggml_free(self.context);
            }
        }
    }

    #[test]
    fn weights_are_laid_out_as_by_one_thread() {
        let kinds = [
            sys::GGML_TYPE_Q4_K,
            sys::GGML_TYPE_Q4_0,
            sys::GGML_TYPE_Q8_0,
            sys::GGML_TYPE_Q2_K,
            sys::GGML_TYPE_Q5_K,
            sys::GGML_TYPE_Q6_K,
            sys::GGML_TYPE_IQ4_NL,
            sys::GGML_TYPE_MXFP4,
        ];
        let repacked: Vec<Weights> = kinds.into_iter().filter_map(|kind| Weights::new(kind, 1536, 5120)).collect();
        if repacked.is_empty() {
            eprintln!("skipped: this processor takes weights as they are");
        }
        repacked.iter().for_each(compare);
    }

    fn compare(weights: &Weights) {
        let data: Vec<u8> = (0..weights.size()).map(|i| (i * 31 % 251) as u8).collect();
        // SAFETY: the data has the tensor's size.
        let by_one = weights.after(|w| unsafe {
            __real_ggml_backend_tensor_set(w.tensor, data.as_ptr().cast(), 0, data.len());
        });
        assert_ne!(by_one, data, "nothing was laid out anew");
        // SAFETY: it lives.
        assert_eq!(unsafe { rows_of_repacked(weights.tensor) }, Some(5120));
        for threads in [1, 2, 3, 7, 200] {
            // SAFETY: as above, and it has so many rows.
            let shared = weights.after(|w| unsafe { set_rows(&*w.tensor, data.as_ptr(), 5120, threads) });
            assert!(shared == by_one, "{threads} threads");
        }
        // SAFETY: as above.
        let linked = weights.after(|w| unsafe {
            sys::ggml_backend_tensor_set(w.tensor, data.as_ptr().cast(), 0, data.len());
        });
        assert!(linked == by_one);
    }

    #[test]
    fn a_cleared_buffer_holds_nothing_but_the_value() {
        for (size, value) in [(100, 0), (LARGE + 100, 0), (3 * LARGE - 1, 0), (LARGE + 100, 7)] {
            // SAFETY: the buffer lives until it is freed, and holds at least `size` bytes.
            unsafe {
                let buffer = sys::ggml_backend_buft_alloc_buffer(sys::ggml_backend_cpu_buffer_type(), size);
                let base = sys::ggml_backend_buffer_get_base(buffer).cast::<u8>();
                base.write_bytes(0xa5, size);
                sys::ggml_backend_buffer_clear(buffer, value);
                let held = std::slice::from_raw_parts(base, size);
                assert!(held.iter().all(|byte| *byte == value), "{size} bytes, {value}");
                sys::ggml_backend_buffer_free(buffer);
            }
        }
    }
}
