//! What llama.cpp offers on a context and its wrapper does not pass on: another number of threads while it lives, and a look in
//! at every node of the graph, at which decoding can be stopped.

use std::ffi::c_void;
use std::ptr::NonNull;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_sys_2 as sys;

/// Asked at every node of the graph that the CPU computes; `true` stops decoding.
pub type Watch<'a> = &'a dyn Fn() -> bool;

/// The context behind the wrapper. Only to be used by the thread that owns the wrapper, as long as it lives.
///
/// The wrapper shows its pointer in its debug form only. `None` should that form change: the threads stay as they were set and a
/// batch is decoded to its end, and nothing else is lost.
#[derive(Debug)]
pub struct Handle(Option<NonNull<sys::llama_context>>);

impl Handle {
    pub fn of(context: &LlamaContext<'_>) -> Self {
        let text = format!("{context:?}");
        let digits = text.split("0x").nth(1).and_then(|rest| rest.split(|c: char| !c.is_ascii_hexdigit()).next());
        let address = digits.and_then(|digits| usize::from_str_radix(digits, 16).ok());
        Self(address.and_then(|address| NonNull::new(address as *mut sys::llama_context)))
    }

    /// From now on so many threads decode.
    pub fn set_threads(&self, threads: usize) {
        let threads = i32::try_from(threads).unwrap_or(1);
        if let Some(context) = self.0 {
            // SAFETY: the pointer is that of a living context, which this thread owns.
            unsafe { sys::llama_set_n_threads(context.as_ptr(), threads, threads) }
        }
    }

    /// Waits for what is being computed: a GPU goes on by itself when a batch was handed to it.
    pub fn wait(&self) {
        if let Some(context) = self.0 {
            // SAFETY: as above.
            unsafe { sys::llama_synchronize(context.as_ptr()) }
        }
    }

    /// Runs `decode` with `watch` looking in.
    pub fn watched<T>(&self, watch: Watch<'_>, decode: impl FnOnce() -> T) -> T {
        unsafe extern "C" fn look_in(watch: *mut c_void) -> bool {
            // SAFETY: the pointer is to the `watch` below, which outlives the callback.
            unsafe { (*watch.cast::<Watch<'_>>())() }
        }
        let Some(context) = self.0 else { return decode() };
        let mut watch = watch;
        let data = std::ptr::from_mut(&mut watch).cast();
        // SAFETY: as above; the callback is gone before `watch` is. A panic ends the thread, which decodes no more.
        unsafe { sys::llama_set_abort_callback(context.as_ptr(), Some(look_in), data) };
        let result = decode();
        // SAFETY: as above.
        unsafe { sys::llama_set_abort_callback(context.as_ptr(), None, std::ptr::null_mut()) };
        result
    }
}
