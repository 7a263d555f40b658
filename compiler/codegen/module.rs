//! Code memory: the Cranelift module, from the first function to the end of the last call.

#![allow(unsafe_code, reason = "code memory is freed by hand, and functions are pointers to it")]

use super::target::Options;
use super::{CompileError, KernelFn, KernelText};
use cranelift_codegen::ir::{AbiParam, Signature, UserFuncName, types};
use cranelift_codegen::isa::CallConv;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{Context, ir};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{ArenaMemoryProvider, JITBuilder, JITModule};
use cranelift_module::{FuncId, Module, default_libcall_names};
use std::sync::Mutex;

/// Address space reserved for the code of one executable; only what is used is backed by memory.
/// All of it lies within reach of a relative call.
const RESERVED: usize = 64 << 20;

/// The parameters of a [`KernelFn`]: pointers and 64-bit numbers.
pub(super) const KERNEL_PARAMS: [ir::Type; 5] = [types::I64; 5];

/// A function of a module.
#[derive(Clone, Copy)]
pub(super) struct Function(FuncId);

/// A module to which functions are added.
pub(super) struct Builder {
    module: JITModule,
    context: Context,
    frontend: FunctionBuilderContext,
    keep_text: bool,
    x86: bool,
    texts: Vec<KernelText>,
}

impl Builder {
    /// A module without functions, for this machine.
    pub fn new(options: &Options) -> Result<Builder, CompileError> {
        let mut flags = settings::builder();
        let verify = if options.verify { "true" } else { "false" };
        for (name, value) in [
            ("opt_level", "speed"),
            ("enable_verifier", verify),
            // What cranelift-jit asks for: absolute addresses, and calls that reach anywhere.
            ("is_pic", "false"),
            ("use_colocated_libcalls", "false"),
            // Stack frames here are small and of fixed size.
            ("enable_probestack", "false"),
        ] {
            flags.set(name, value).expect("a flag of this version of Cranelift");
        }
        let isa = cranelift_native::builder()
            .map_err(|e| CompileError(format!("no code for this machine: {e}")))?
            .finish(settings::Flags::new(flags))
            .map_err(|e| CompileError(format!("no code for this machine: {e}")))?;
        let x86 = isa.name() == "x64";
        let mut builder = JITBuilder::with_isa(isa, default_libcall_names());
        let memory = ArenaMemoryProvider::new_with_size(RESERVED)
            .map_err(|e| CompileError(format!("no memory for code: {e}")))?;
        builder.memory_provider(Box::new(memory));
        builder.symbols(LIBCALLS.iter().map(|&(name, f)| (name, f.0)));
        let module = JITModule::new(builder);
        let mut context = module.make_context();
        context.set_disasm(options.keep_text);
        Ok(Builder {
            module,
            context,
            frontend: FunctionBuilderContext::new(),
            keep_text: options.keep_text,
            x86,
            texts: Vec::new(),
        })
    }

    /// Whether the code is for x86.
    pub fn is_x86(&self) -> bool {
        self.x86
    }

    /// Whether a fused multiply-add is an instruction.
    pub fn has_fma(&self) -> bool {
        let flags = self.module.isa().isa_flags();
        let has = |name: &str| flags.iter().any(|f| f.name == name && f.as_bool() == Some(true));
        !self.x86 || has("has_avx") && has("has_fma")
    }

    /// Adds a function with these parameters and no result that `emit` writes, given references
    /// to the functions it calls.
    pub fn define(
        &mut self,
        name: &str,
        params: &[ir::Type],
        calls: &[Function],
        emit: impl for<'f> FnOnce(FunctionBuilder<'f>, &[ir::FuncRef]) -> FunctionBuilder<'f>,
    ) -> Result<Function, CompileError> {
        self.context.func.signature = self.signature(params);
        let signature = &self.context.func.signature;
        let id = self.module.declare_anonymous_function(signature).map_err(refused(name))?;
        self.context.func.name = UserFuncName::user(0, id.as_u32());
        let func = &mut self.context.func;
        let import = |f: &Function| self.module.declare_func_in_func(f.0, func);
        let refs: Vec<ir::FuncRef> = calls.iter().map(import).collect();
        let builder = FunctionBuilder::new(&mut self.context.func, &mut self.frontend);
        emit(builder, &refs).finalize(self.module.isa().frontend_config());
        let clif = self.keep_text.then(|| self.context.func.display().to_string());
        self.module.define_function(id, &mut self.context).map_err(refused(name))?;
        if let Some(clif) = clif {
            let code = self.context.compiled_code().expect("it was compiled just now");
            let assembly = code.vcode.clone().unwrap_or_default();
            self.texts.push(KernelText { name: name.to_string(), clif, assembly });
        }
        self.module.clear_context(&mut self.context);
        self.context.set_disasm(self.keep_text);
        Ok(Function(id))
    }

    /// Adds a function with these parameters and no result, of the C convention of the target,
    /// whose machine code is made elsewhere. The code may be placed at any multiple of 64 bytes;
    /// `assembly` is asked for its text.
    pub fn define_bytes(
        &mut self,
        name: &str,
        params: &[ir::Type],
        code: &[u8],
        assembly: impl FnOnce() -> String,
    ) -> Result<Function, CompileError> {
        let signature = self.signature(params);
        let id = self.module.declare_anonymous_function(&signature).map_err(refused(name))?;
        self.module.define_function_bytes(id, 64, code, &[]).map_err(refused(name))?;
        if self.keep_text {
            let (clif, assembly) = (String::new(), assembly());
            self.texts.push(KernelText { name: name.to_string(), clif, assembly });
        }
        Ok(Function(id))
    }

    /// A signature of the C convention without results.
    fn signature(&self, params: &[ir::Type]) -> Signature {
        let mut signature = Signature::new(CallConv::triple_default(self.module.isa().triple()));
        signature.params.extend(params.iter().map(|&ty| AbiParam::new(ty)));
        signature
    }

    /// Makes the code executable.
    pub fn finish(mut self) -> Result<(Code, Vec<KernelText>), CompileError> {
        self.module.finalize_definitions().map_err(refused("the module"))?;
        Ok((Code { module: Some(Mutex::new(self.module)) }, self.texts))
    }
}

fn refused(name: &str) -> impl FnOnce(cranelift_module::ModuleError) -> CompileError {
    move |e| CompileError(format!("Cranelift refused {name}: {e:?}"))
}

/// Machine code. Dropping it frees the memory, so whoever has a pointer into it keeps it alive.
pub(super) struct Code {
    /// Always there until it is dropped. The lock is never contended: it makes `Code: Sync`.
    module: Option<Mutex<JITModule>>,
}

impl Code {
    /// A function of type [`KernelFn`].
    pub fn function(&self, function: Function) -> KernelFn {
        let module = self.module.as_ref().expect("there until dropped").lock();
        let module = module.unwrap_or_else(std::sync::PoisonError::into_inner);
        let pointer = module.get_finalized_function(function.0);
        // SAFETY: kernels are defined with the parameters of `KernelFn`, see `KERNEL_PARAMS`.
        unsafe { std::mem::transmute::<*const u8, KernelFn>(pointer) }
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        if let Some(module) = self.module.take() {
            let module = module.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
            // SAFETY: function pointers are held by the `Executable` that holds this and calls
            // them only by reference to itself, so no call is under way and none will follow.
            unsafe { module.free_memory() };
        }
    }
}

/// A function that Cranelift calls where the machine lacks the instruction. Given here, so that no
/// C library needs to have it.
#[derive(Clone, Copy)]
struct Symbol(*const u8);

// SAFETY: the address of a function.
unsafe impl Sync for Symbol {}

static LIBCALLS: [(&str, Symbol); 10] = [
    ("fmaf", Symbol(fma_f32 as *const u8)),
    ("fma", Symbol(fma_f64 as *const u8)),
    ("floorf", Symbol(floor_f32 as *const u8)),
    ("floor", Symbol(floor_f64 as *const u8)),
    ("ceilf", Symbol(ceil_f32 as *const u8)),
    ("ceil", Symbol(ceil_f64 as *const u8)),
    ("truncf", Symbol(trunc_f32 as *const u8)),
    ("trunc", Symbol(trunc_f64 as *const u8)),
    ("nearbyintf", Symbol(nearest_f32 as *const u8)),
    ("nearbyint", Symbol(nearest_f64 as *const u8)),
];

extern "C" fn fma_f32(x: f32, y: f32, z: f32) -> f32 {
    x.mul_add(y, z)
}
extern "C" fn fma_f64(x: f64, y: f64, z: f64) -> f64 {
    x.mul_add(y, z)
}
extern "C" fn floor_f32(x: f32) -> f32 {
    x.floor()
}
extern "C" fn floor_f64(x: f64) -> f64 {
    x.floor()
}
extern "C" fn ceil_f32(x: f32) -> f32 {
    x.ceil()
}
extern "C" fn ceil_f64(x: f64) -> f64 {
    x.ceil()
}
extern "C" fn trunc_f32(x: f32) -> f32 {
    x.trunc()
}
extern "C" fn trunc_f64(x: f64) -> f64 {
    x.trunc()
}
extern "C" fn nearest_f32(x: f32) -> f32 {
    x.round_ties_even()
}
extern "C" fn nearest_f64(x: f64) -> f64 {
    x.round_ties_even()
}
