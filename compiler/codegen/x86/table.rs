//! The vector and mask instructions that are emitted, each in every form it has.
//!
//! A row gives the operands by a letter each, and the codes of the VEX forms of 128 and 256 bits
//! and of the EVEX forms of 128, 256 and 512 bits; `_` where there is none. The letters say which
//! register an operand names when the instruction is `w` bits wide:
//!
//! | letter | register |
//! |---|---|
//! | `V` `M` `m` | a vector of `w` bits (`M`: or memory; `m`: memory only) |
//! | `H` `h`, `Q`, `O` | the vector that holds a half, a quarter, an eighth of `w` bits |
//! | `X` `S` `D` `P` `s` `4` `8` | a vector of 128 bits, of which a part may be meant |
//! | `W` | a vector of 256 bits |
//! | `K` | a mask register |
//! | `g` `G` | a general register of 32, of 64 bits |
//!
//! Neighbours: `asm` makes instructions from rows, and its tests decode every one.

use super::asm::Width;
use iced_x86::{Code, Instruction};

/// What the table knows of an instruction.
pub(in crate::codegen) struct Row {
    /// A letter for each operand; the immediate is not one.
    pub shape: &'static str,
    /// Whether an 8-bit immediate follows.
    pub imm: bool,
    /// VEX 128, VEX 256, EVEX 128, EVEX 256, EVEX 512; `Code::INVALID` where there is none.
    pub codes: [Code; 5],
}

macro_rules! code {
    (_) => {
        Code::INVALID
    };
    ($code:ident) => {
        Code::$code
    };
}

macro_rules! has_imm {
    () => {
        false
    };
    (imm) => {
        true
    };
}

macro_rules! instructions {
    ($($name:ident $shape:literal $($imm:ident)? [$($code:tt)*];)*) => {
        /// A vector or mask instruction, whatever its width and encoding. The names are those of
        /// the instruction set.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub(in crate::codegen) enum Op {
            $($name,)*
        }

        impl Op {
            /// Every instruction.
            #[cfg(test)]
            pub const ALL: &[Op] = &[$(Op::$name,)*];

            /// Its row.
            pub const fn row(self) -> &'static Row {
                match self {
                    $(Op::$name => &Row {
                        shape: $shape,
                        imm: has_imm!($($imm)?),
                        codes: [$(code!($code),)*],
                    },)*
                }
            }
        }
    };
}

impl Op {
    /// Bits of the element that its EVEX form may broadcast from memory; 0 if it cannot.
    pub fn broadcast_bits(self, width: Width) -> u32 {
        let code = match width {
            Width::X => self.row().codes[2],
            Width::Y => self.row().codes[3],
            Width::Z => self.row().codes[4],
        };
        let mut inst = Instruction::new();
        inst.set_code(code);
        inst.set_is_broadcast(true);
        8 * inst.memory_size().element_size() as u32
    }
}

instructions! {
    Vaddps "VVM" [
        VEX_Vaddps_xmm_xmm_xmmm128 VEX_Vaddps_ymm_ymm_ymmm256 EVEX_Vaddps_xmm_k1z_xmm_xmmm128b32
        EVEX_Vaddps_ymm_k1z_ymm_ymmm256b32 EVEX_Vaddps_zmm_k1z_zmm_zmmm512b32_er];
    Vsubps "VVM" [
        VEX_Vsubps_xmm_xmm_xmmm128 VEX_Vsubps_ymm_ymm_ymmm256 EVEX_Vsubps_xmm_k1z_xmm_xmmm128b32
        EVEX_Vsubps_ymm_k1z_ymm_ymmm256b32 EVEX_Vsubps_zmm_k1z_zmm_zmmm512b32_er];
    Vmulps "VVM" [
        VEX_Vmulps_xmm_xmm_xmmm128 VEX_Vmulps_ymm_ymm_ymmm256 EVEX_Vmulps_xmm_k1z_xmm_xmmm128b32
        EVEX_Vmulps_ymm_k1z_ymm_ymmm256b32 EVEX_Vmulps_zmm_k1z_zmm_zmmm512b32_er];
    Vdivps "VVM" [
        VEX_Vdivps_xmm_xmm_xmmm128 VEX_Vdivps_ymm_ymm_ymmm256 EVEX_Vdivps_xmm_k1z_xmm_xmmm128b32
        EVEX_Vdivps_ymm_k1z_ymm_ymmm256b32 EVEX_Vdivps_zmm_k1z_zmm_zmmm512b32_er];
    Vmaxps "VVM" [
        VEX_Vmaxps_xmm_xmm_xmmm128 VEX_Vmaxps_ymm_ymm_ymmm256 EVEX_Vmaxps_xmm_k1z_xmm_xmmm128b32
        EVEX_Vmaxps_ymm_k1z_ymm_ymmm256b32 EVEX_Vmaxps_zmm_k1z_zmm_zmmm512b32_sae];
    Vminps "VVM" [
        VEX_Vminps_xmm_xmm_xmmm128 VEX_Vminps_ymm_ymm_ymmm256 EVEX_Vminps_xmm_k1z_xmm_xmmm128b32
        EVEX_Vminps_ymm_k1z_ymm_ymmm256b32 EVEX_Vminps_zmm_k1z_zmm_zmmm512b32_sae];
    Vsqrtps "VM" [
        VEX_Vsqrtps_xmm_xmmm128 VEX_Vsqrtps_ymm_ymmm256 EVEX_Vsqrtps_xmm_k1z_xmmm128b32
        EVEX_Vsqrtps_ymm_k1z_ymmm256b32 EVEX_Vsqrtps_zmm_k1z_zmmm512b32_er];
    Vroundps "VM" imm [
        VEX_Vroundps_xmm_xmmm128_imm8 VEX_Vroundps_ymm_ymmm256_imm8
        EVEX_Vrndscaleps_xmm_k1z_xmmm128b32_imm8 EVEX_Vrndscaleps_ymm_k1z_ymmm256b32_imm8
        EVEX_Vrndscaleps_zmm_k1z_zmmm512b32_imm8_sae];
    Vrangeps "VVM" imm [
        _ _ EVEX_Vrangeps_xmm_k1z_xmm_xmmm128b32_imm8 EVEX_Vrangeps_ymm_k1z_ymm_ymmm256b32_imm8
        EVEX_Vrangeps_zmm_k1z_zmm_zmmm512b32_imm8_sae];
    Vscalefps "VVM" [
        _ _ EVEX_Vscalefps_xmm_k1z_xmm_xmmm128b32 EVEX_Vscalefps_ymm_k1z_ymm_ymmm256b32
        EVEX_Vscalefps_zmm_k1z_zmm_zmmm512b32_er];
    Vandps "VVM" [
        VEX_Vandps_xmm_xmm_xmmm128 VEX_Vandps_ymm_ymm_ymmm256 EVEX_Vandps_xmm_k1z_xmm_xmmm128b32
        EVEX_Vandps_ymm_k1z_ymm_ymmm256b32 EVEX_Vandps_zmm_k1z_zmm_zmmm512b32];
    Vorps "VVM" [
        VEX_Vorps_xmm_xmm_xmmm128 VEX_Vorps_ymm_ymm_ymmm256 EVEX_Vorps_xmm_k1z_xmm_xmmm128b32
        EVEX_Vorps_ymm_k1z_ymm_ymmm256b32 EVEX_Vorps_zmm_k1z_zmm_zmmm512b32];
    Vxorps "VVM" [
        VEX_Vxorps_xmm_xmm_xmmm128 VEX_Vxorps_ymm_ymm_ymmm256 EVEX_Vxorps_xmm_k1z_xmm_xmmm128b32
        EVEX_Vxorps_ymm_k1z_ymm_ymmm256b32 EVEX_Vxorps_zmm_k1z_zmm_zmmm512b32];
    Vfmadd132ps "VVM" [
        VEX_Vfmadd132ps_xmm_xmm_xmmm128 VEX_Vfmadd132ps_ymm_ymm_ymmm256
        EVEX_Vfmadd132ps_xmm_k1z_xmm_xmmm128b32 EVEX_Vfmadd132ps_ymm_k1z_ymm_ymmm256b32
        EVEX_Vfmadd132ps_zmm_k1z_zmm_zmmm512b32_er];
    Vfmadd213ps "VVM" [
        VEX_Vfmadd213ps_xmm_xmm_xmmm128 VEX_Vfmadd213ps_ymm_ymm_ymmm256
        EVEX_Vfmadd213ps_xmm_k1z_xmm_xmmm128b32 EVEX_Vfmadd213ps_ymm_k1z_ymm_ymmm256b32
        EVEX_Vfmadd213ps_zmm_k1z_zmm_zmmm512b32_er];
    Vfmadd231ps "VVM" [
        VEX_Vfmadd231ps_xmm_xmm_xmmm128 VEX_Vfmadd231ps_ymm_ymm_ymmm256
        EVEX_Vfmadd231ps_xmm_k1z_xmm_xmmm128b32 EVEX_Vfmadd231ps_ymm_k1z_ymm_ymmm256b32
        EVEX_Vfmadd231ps_zmm_k1z_zmm_zmmm512b32_er];
    Vcmpps "VVM" imm [
        VEX_Vcmpps_xmm_xmm_xmmm128_imm8 VEX_Vcmpps_ymm_ymm_ymmm256_imm8 _ _ _];
    VcmppsK "KVM" imm [
        _ _ EVEX_Vcmpps_kr_k1_xmm_xmmm128b32_imm8 EVEX_Vcmpps_kr_k1_ymm_ymmm256b32_imm8
        EVEX_Vcmpps_kr_k1_zmm_zmmm512b32_imm8_sae];
    Vblendvps "VVMV" [
        VEX_Vblendvps_xmm_xmm_xmmm128_xmm VEX_Vblendvps_ymm_ymm_ymmm256_ymm _ _ _];
    Vblendmps "VVM" [
        _ _ EVEX_Vblendmps_xmm_k1z_xmm_xmmm128b32 EVEX_Vblendmps_ymm_k1z_ymm_ymmm256b32
        EVEX_Vblendmps_zmm_k1z_zmm_zmmm512b32];
    Vshufps "VVM" imm [
        VEX_Vshufps_xmm_xmm_xmmm128_imm8 VEX_Vshufps_ymm_ymm_ymmm256_imm8
        EVEX_Vshufps_xmm_k1z_xmm_xmmm128b32_imm8 EVEX_Vshufps_ymm_k1z_ymm_ymmm256b32_imm8
        EVEX_Vshufps_zmm_k1z_zmm_zmmm512b32_imm8];
    Vunpcklps "VVM" [
        VEX_Vunpcklps_xmm_xmm_xmmm128 VEX_Vunpcklps_ymm_ymm_ymmm256
        EVEX_Vunpcklps_xmm_k1z_xmm_xmmm128b32 EVEX_Vunpcklps_ymm_k1z_ymm_ymmm256b32
        EVEX_Vunpcklps_zmm_k1z_zmm_zmmm512b32];
    Vunpckhps "VVM" [
        VEX_Vunpckhps_xmm_xmm_xmmm128 VEX_Vunpckhps_ymm_ymm_ymmm256
        EVEX_Vunpckhps_xmm_k1z_xmm_xmmm128b32 EVEX_Vunpckhps_ymm_k1z_ymm_ymmm256b32
        EVEX_Vunpckhps_zmm_k1z_zmm_zmmm512b32];
    VmaskmovpsLoad "VVm" [
        VEX_Vmaskmovps_xmm_xmm_m128 VEX_Vmaskmovps_ymm_ymm_m256 _ _ _];
    VmaskmovpsStore "mVV" [
        VEX_Vmaskmovps_m128_xmm_xmm VEX_Vmaskmovps_m256_ymm_ymm _ _ _];
    Vmovups "VM" [
        VEX_Vmovups_xmm_xmmm128 VEX_Vmovups_ymm_ymmm256 EVEX_Vmovups_xmm_k1z_xmmm128
        EVEX_Vmovups_ymm_k1z_ymmm256 EVEX_Vmovups_zmm_k1z_zmmm512];
    VmovupsStore "MV" [
        VEX_Vmovups_xmmm128_xmm VEX_Vmovups_ymmm256_ymm EVEX_Vmovups_xmmm128_k1z_xmm
        EVEX_Vmovups_ymmm256_k1z_ymm EVEX_Vmovups_zmmm512_k1z_zmm];
    Vmovntps "mV" [
        VEX_Vmovntps_m128_xmm VEX_Vmovntps_m256_ymm EVEX_Vmovntps_m128_xmm EVEX_Vmovntps_m256_ymm
        EVEX_Vmovntps_m512_zmm];
    Vmovaps "VM" [
        VEX_Vmovaps_xmm_xmmm128 VEX_Vmovaps_ymm_ymmm256 EVEX_Vmovaps_xmm_k1z_xmmm128
        EVEX_Vmovaps_ymm_k1z_ymmm256 EVEX_Vmovaps_zmm_k1z_zmmm512];
    Vaddpd "VVM" [
        VEX_Vaddpd_xmm_xmm_xmmm128 VEX_Vaddpd_ymm_ymm_ymmm256 EVEX_Vaddpd_xmm_k1z_xmm_xmmm128b64
        EVEX_Vaddpd_ymm_k1z_ymm_ymmm256b64 EVEX_Vaddpd_zmm_k1z_zmm_zmmm512b64_er];
    Vsubpd "VVM" [
        VEX_Vsubpd_xmm_xmm_xmmm128 VEX_Vsubpd_ymm_ymm_ymmm256 EVEX_Vsubpd_xmm_k1z_xmm_xmmm128b64
        EVEX_Vsubpd_ymm_k1z_ymm_ymmm256b64 EVEX_Vsubpd_zmm_k1z_zmm_zmmm512b64_er];
    Vmulpd "VVM" [
        VEX_Vmulpd_xmm_xmm_xmmm128 VEX_Vmulpd_ymm_ymm_ymmm256 EVEX_Vmulpd_xmm_k1z_xmm_xmmm128b64
        EVEX_Vmulpd_ymm_k1z_ymm_ymmm256b64 EVEX_Vmulpd_zmm_k1z_zmm_zmmm512b64_er];
    Vdivpd "VVM" [
        VEX_Vdivpd_xmm_xmm_xmmm128 VEX_Vdivpd_ymm_ymm_ymmm256 EVEX_Vdivpd_xmm_k1z_xmm_xmmm128b64
        EVEX_Vdivpd_ymm_k1z_ymm_ymmm256b64 EVEX_Vdivpd_zmm_k1z_zmm_zmmm512b64_er];
    Vmaxpd "VVM" [
        VEX_Vmaxpd_xmm_xmm_xmmm128 VEX_Vmaxpd_ymm_ymm_ymmm256 EVEX_Vmaxpd_xmm_k1z_xmm_xmmm128b64
        EVEX_Vmaxpd_ymm_k1z_ymm_ymmm256b64 EVEX_Vmaxpd_zmm_k1z_zmm_zmmm512b64_sae];
    Vminpd "VVM" [
        VEX_Vminpd_xmm_xmm_xmmm128 VEX_Vminpd_ymm_ymm_ymmm256 EVEX_Vminpd_xmm_k1z_xmm_xmmm128b64
        EVEX_Vminpd_ymm_k1z_ymm_ymmm256b64 EVEX_Vminpd_zmm_k1z_zmm_zmmm512b64_sae];
    Vsqrtpd "VM" [
        VEX_Vsqrtpd_xmm_xmmm128 VEX_Vsqrtpd_ymm_ymmm256 EVEX_Vsqrtpd_xmm_k1z_xmmm128b64
        EVEX_Vsqrtpd_ymm_k1z_ymmm256b64 EVEX_Vsqrtpd_zmm_k1z_zmmm512b64_er];
    Vroundpd "VM" imm [
        VEX_Vroundpd_xmm_xmmm128_imm8 VEX_Vroundpd_ymm_ymmm256_imm8
        EVEX_Vrndscalepd_xmm_k1z_xmmm128b64_imm8 EVEX_Vrndscalepd_ymm_k1z_ymmm256b64_imm8
        EVEX_Vrndscalepd_zmm_k1z_zmmm512b64_imm8_sae];
    Vrangepd "VVM" imm [
        _ _ EVEX_Vrangepd_xmm_k1z_xmm_xmmm128b64_imm8 EVEX_Vrangepd_ymm_k1z_ymm_ymmm256b64_imm8
        EVEX_Vrangepd_zmm_k1z_zmm_zmmm512b64_imm8_sae];
    Vscalefpd "VVM" [
        _ _ EVEX_Vscalefpd_xmm_k1z_xmm_xmmm128b64 EVEX_Vscalefpd_ymm_k1z_ymm_ymmm256b64
        EVEX_Vscalefpd_zmm_k1z_zmm_zmmm512b64_er];
    Vandpd "VVM" [
        VEX_Vandpd_xmm_xmm_xmmm128 VEX_Vandpd_ymm_ymm_ymmm256 EVEX_Vandpd_xmm_k1z_xmm_xmmm128b64
        EVEX_Vandpd_ymm_k1z_ymm_ymmm256b64 EVEX_Vandpd_zmm_k1z_zmm_zmmm512b64];
    Vorpd "VVM" [
        VEX_Vorpd_xmm_xmm_xmmm128 VEX_Vorpd_ymm_ymm_ymmm256 EVEX_Vorpd_xmm_k1z_xmm_xmmm128b64
        EVEX_Vorpd_ymm_k1z_ymm_ymmm256b64 EVEX_Vorpd_zmm_k1z_zmm_zmmm512b64];
    Vxorpd "VVM" [
        VEX_Vxorpd_xmm_xmm_xmmm128 VEX_Vxorpd_ymm_ymm_ymmm256 EVEX_Vxorpd_xmm_k1z_xmm_xmmm128b64
        EVEX_Vxorpd_ymm_k1z_ymm_ymmm256b64 EVEX_Vxorpd_zmm_k1z_zmm_zmmm512b64];
    Vfmadd132pd "VVM" [
        VEX_Vfmadd132pd_xmm_xmm_xmmm128 VEX_Vfmadd132pd_ymm_ymm_ymmm256
        EVEX_Vfmadd132pd_xmm_k1z_xmm_xmmm128b64 EVEX_Vfmadd132pd_ymm_k1z_ymm_ymmm256b64
        EVEX_Vfmadd132pd_zmm_k1z_zmm_zmmm512b64_er];
    Vfmadd213pd "VVM" [
        VEX_Vfmadd213pd_xmm_xmm_xmmm128 VEX_Vfmadd213pd_ymm_ymm_ymmm256
        EVEX_Vfmadd213pd_xmm_k1z_xmm_xmmm128b64 EVEX_Vfmadd213pd_ymm_k1z_ymm_ymmm256b64
        EVEX_Vfmadd213pd_zmm_k1z_zmm_zmmm512b64_er];
    Vfmadd231pd "VVM" [
        VEX_Vfmadd231pd_xmm_xmm_xmmm128 VEX_Vfmadd231pd_ymm_ymm_ymmm256
        EVEX_Vfmadd231pd_xmm_k1z_xmm_xmmm128b64 EVEX_Vfmadd231pd_ymm_k1z_ymm_ymmm256b64
        EVEX_Vfmadd231pd_zmm_k1z_zmm_zmmm512b64_er];
    Vcmppd "VVM" imm [
        VEX_Vcmppd_xmm_xmm_xmmm128_imm8 VEX_Vcmppd_ymm_ymm_ymmm256_imm8 _ _ _];
    VcmppdK "KVM" imm [
        _ _ EVEX_Vcmppd_kr_k1_xmm_xmmm128b64_imm8 EVEX_Vcmppd_kr_k1_ymm_ymmm256b64_imm8
        EVEX_Vcmppd_kr_k1_zmm_zmmm512b64_imm8_sae];
    Vblendvpd "VVMV" [
        VEX_Vblendvpd_xmm_xmm_xmmm128_xmm VEX_Vblendvpd_ymm_ymm_ymmm256_ymm _ _ _];
    Vblendmpd "VVM" [
        _ _ EVEX_Vblendmpd_xmm_k1z_xmm_xmmm128b64 EVEX_Vblendmpd_ymm_k1z_ymm_ymmm256b64
        EVEX_Vblendmpd_zmm_k1z_zmm_zmmm512b64];
    Vunpcklpd "VVM" [
        VEX_Vunpcklpd_xmm_xmm_xmmm128 VEX_Vunpcklpd_ymm_ymm_ymmm256
        EVEX_Vunpcklpd_xmm_k1z_xmm_xmmm128b64 EVEX_Vunpcklpd_ymm_k1z_ymm_ymmm256b64
        EVEX_Vunpcklpd_zmm_k1z_zmm_zmmm512b64];
    Vunpckhpd "VVM" [
        VEX_Vunpckhpd_xmm_xmm_xmmm128 VEX_Vunpckhpd_ymm_ymm_ymmm256
        EVEX_Vunpckhpd_xmm_k1z_xmm_xmmm128b64 EVEX_Vunpckhpd_ymm_k1z_ymm_ymmm256b64
        EVEX_Vunpckhpd_zmm_k1z_zmm_zmmm512b64];
    VmaskmovpdLoad "VVm" [
        VEX_Vmaskmovpd_xmm_xmm_m128 VEX_Vmaskmovpd_ymm_ymm_m256 _ _ _];
    VmaskmovpdStore "mVV" [
        VEX_Vmaskmovpd_m128_xmm_xmm VEX_Vmaskmovpd_m256_ymm_ymm _ _ _];
    Vmovupd "VM" [
        VEX_Vmovupd_xmm_xmmm128 VEX_Vmovupd_ymm_ymmm256 EVEX_Vmovupd_xmm_k1z_xmmm128
        EVEX_Vmovupd_ymm_k1z_ymmm256 EVEX_Vmovupd_zmm_k1z_zmmm512];
    VmovupdStore "MV" [
        VEX_Vmovupd_xmmm128_xmm VEX_Vmovupd_ymmm256_ymm EVEX_Vmovupd_xmmm128_k1z_xmm
        EVEX_Vmovupd_ymmm256_k1z_ymm EVEX_Vmovupd_zmmm512_k1z_zmm];
    Vmovapd "VM" [
        VEX_Vmovapd_xmm_xmmm128 VEX_Vmovapd_ymm_ymmm256 EVEX_Vmovapd_xmm_k1z_xmmm128
        EVEX_Vmovapd_ymm_k1z_ymmm256 EVEX_Vmovapd_zmm_k1z_zmmm512];
    Vpaddd "VVM" [
        VEX_Vpaddd_xmm_xmm_xmmm128 VEX_Vpaddd_ymm_ymm_ymmm256 EVEX_Vpaddd_xmm_k1z_xmm_xmmm128b32
        EVEX_Vpaddd_ymm_k1z_ymm_ymmm256b32 EVEX_Vpaddd_zmm_k1z_zmm_zmmm512b32];
    Vpsubd "VVM" [
        VEX_Vpsubd_xmm_xmm_xmmm128 VEX_Vpsubd_ymm_ymm_ymmm256 EVEX_Vpsubd_xmm_k1z_xmm_xmmm128b32
        EVEX_Vpsubd_ymm_k1z_ymm_ymmm256b32 EVEX_Vpsubd_zmm_k1z_zmm_zmmm512b32];
    Vpmulld "VVM" [
        VEX_Vpmulld_xmm_xmm_xmmm128 VEX_Vpmulld_ymm_ymm_ymmm256 EVEX_Vpmulld_xmm_k1z_xmm_xmmm128b32
        EVEX_Vpmulld_ymm_k1z_ymm_ymmm256b32 EVEX_Vpmulld_zmm_k1z_zmm_zmmm512b32];
    Vpandd "VVM" [
        VEX_Vpand_xmm_xmm_xmmm128 VEX_Vpand_ymm_ymm_ymmm256 EVEX_Vpandd_xmm_k1z_xmm_xmmm128b32
        EVEX_Vpandd_ymm_k1z_ymm_ymmm256b32 EVEX_Vpandd_zmm_k1z_zmm_zmmm512b32];
    Vpord "VVM" [
        VEX_Vpor_xmm_xmm_xmmm128 VEX_Vpor_ymm_ymm_ymmm256 EVEX_Vpord_xmm_k1z_xmm_xmmm128b32
        EVEX_Vpord_ymm_k1z_ymm_ymmm256b32 EVEX_Vpord_zmm_k1z_zmm_zmmm512b32];
    Vpxord "VVM" [
        VEX_Vpxor_xmm_xmm_xmmm128 VEX_Vpxor_ymm_ymm_ymmm256 EVEX_Vpxord_xmm_k1z_xmm_xmmm128b32
        EVEX_Vpxord_ymm_k1z_ymm_ymmm256b32 EVEX_Vpxord_zmm_k1z_zmm_zmmm512b32];
    Vpmaxsd "VVM" [
        VEX_Vpmaxsd_xmm_xmm_xmmm128 VEX_Vpmaxsd_ymm_ymm_ymmm256 EVEX_Vpmaxsd_xmm_k1z_xmm_xmmm128b32
        EVEX_Vpmaxsd_ymm_k1z_ymm_ymmm256b32 EVEX_Vpmaxsd_zmm_k1z_zmm_zmmm512b32];
    Vpminsd "VVM" [
        VEX_Vpminsd_xmm_xmm_xmmm128 VEX_Vpminsd_ymm_ymm_ymmm256 EVEX_Vpminsd_xmm_k1z_xmm_xmmm128b32
        EVEX_Vpminsd_ymm_k1z_ymm_ymmm256b32 EVEX_Vpminsd_zmm_k1z_zmm_zmmm512b32];
    Vpabsd "VM" [
        VEX_Vpabsd_xmm_xmmm128 VEX_Vpabsd_ymm_ymmm256 EVEX_Vpabsd_xmm_k1z_xmmm128b32
        EVEX_Vpabsd_ymm_k1z_ymmm256b32 EVEX_Vpabsd_zmm_k1z_zmmm512b32];
    Vpsllvd "VVM" [
        VEX_Vpsllvd_xmm_xmm_xmmm128 VEX_Vpsllvd_ymm_ymm_ymmm256 EVEX_Vpsllvd_xmm_k1z_xmm_xmmm128b32
        EVEX_Vpsllvd_ymm_k1z_ymm_ymmm256b32 EVEX_Vpsllvd_zmm_k1z_zmm_zmmm512b32];
    Vpsrlvd "VVM" [
        VEX_Vpsrlvd_xmm_xmm_xmmm128 VEX_Vpsrlvd_ymm_ymm_ymmm256 EVEX_Vpsrlvd_xmm_k1z_xmm_xmmm128b32
        EVEX_Vpsrlvd_ymm_k1z_ymm_ymmm256b32 EVEX_Vpsrlvd_zmm_k1z_zmm_zmmm512b32];
    Vpsravd "VVM" [
        VEX_Vpsravd_xmm_xmm_xmmm128 VEX_Vpsravd_ymm_ymm_ymmm256 EVEX_Vpsravd_xmm_k1z_xmm_xmmm128b32
        EVEX_Vpsravd_ymm_k1z_ymm_ymmm256b32 EVEX_Vpsravd_zmm_k1z_zmm_zmmm512b32];
    VpslldImm "VM" imm [
        VEX_Vpslld_xmm_xmm_imm8 VEX_Vpslld_ymm_ymm_imm8 EVEX_Vpslld_xmm_k1z_xmmm128b32_imm8
        EVEX_Vpslld_ymm_k1z_ymmm256b32_imm8 EVEX_Vpslld_zmm_k1z_zmmm512b32_imm8];
    VpsrldImm "VM" imm [
        VEX_Vpsrld_xmm_xmm_imm8 VEX_Vpsrld_ymm_ymm_imm8 EVEX_Vpsrld_xmm_k1z_xmmm128b32_imm8
        EVEX_Vpsrld_ymm_k1z_ymmm256b32_imm8 EVEX_Vpsrld_zmm_k1z_zmmm512b32_imm8];
    VpsradImm "VM" imm [
        VEX_Vpsrad_xmm_xmm_imm8 VEX_Vpsrad_ymm_ymm_imm8 EVEX_Vpsrad_xmm_k1z_xmmm128b32_imm8
        EVEX_Vpsrad_ymm_k1z_ymmm256b32_imm8 EVEX_Vpsrad_zmm_k1z_zmmm512b32_imm8];
    Vpcmpeqd "VVM" [
        VEX_Vpcmpeqd_xmm_xmm_xmmm128 VEX_Vpcmpeqd_ymm_ymm_ymmm256 _ _ _];
    Vpcmpgtd "VVM" [
        VEX_Vpcmpgtd_xmm_xmm_xmmm128 VEX_Vpcmpgtd_ymm_ymm_ymmm256 _ _ _];
    VpcmpdK "KVM" imm [
        _ _ EVEX_Vpcmpd_kr_k1_xmm_xmmm128b32_imm8 EVEX_Vpcmpd_kr_k1_ymm_ymmm256b32_imm8
        EVEX_Vpcmpd_kr_k1_zmm_zmmm512b32_imm8];
    Vpaddq "VVM" [
        VEX_Vpaddq_xmm_xmm_xmmm128 VEX_Vpaddq_ymm_ymm_ymmm256 EVEX_Vpaddq_xmm_k1z_xmm_xmmm128b64
        EVEX_Vpaddq_ymm_k1z_ymm_ymmm256b64 EVEX_Vpaddq_zmm_k1z_zmm_zmmm512b64];
    Vpsubq "VVM" [
        VEX_Vpsubq_xmm_xmm_xmmm128 VEX_Vpsubq_ymm_ymm_ymmm256 EVEX_Vpsubq_xmm_k1z_xmm_xmmm128b64
        EVEX_Vpsubq_ymm_k1z_ymm_ymmm256b64 EVEX_Vpsubq_zmm_k1z_zmm_zmmm512b64];
    Vpmullq "VVM" [
        _ _ EVEX_Vpmullq_xmm_k1z_xmm_xmmm128b64 EVEX_Vpmullq_ymm_k1z_ymm_ymmm256b64
        EVEX_Vpmullq_zmm_k1z_zmm_zmmm512b64];
    Vpandq "VVM" [
        VEX_Vpand_xmm_xmm_xmmm128 VEX_Vpand_ymm_ymm_ymmm256 EVEX_Vpandq_xmm_k1z_xmm_xmmm128b64
        EVEX_Vpandq_ymm_k1z_ymm_ymmm256b64 EVEX_Vpandq_zmm_k1z_zmm_zmmm512b64];
    Vporq "VVM" [
        VEX_Vpor_xmm_xmm_xmmm128 VEX_Vpor_ymm_ymm_ymmm256 EVEX_Vporq_xmm_k1z_xmm_xmmm128b64
        EVEX_Vporq_ymm_k1z_ymm_ymmm256b64 EVEX_Vporq_zmm_k1z_zmm_zmmm512b64];
    Vpxorq "VVM" [
        VEX_Vpxor_xmm_xmm_xmmm128 VEX_Vpxor_ymm_ymm_ymmm256 EVEX_Vpxorq_xmm_k1z_xmm_xmmm128b64
        EVEX_Vpxorq_ymm_k1z_ymm_ymmm256b64 EVEX_Vpxorq_zmm_k1z_zmm_zmmm512b64];
    Vpmaxsq "VVM" [
        _ _ EVEX_Vpmaxsq_xmm_k1z_xmm_xmmm128b64 EVEX_Vpmaxsq_ymm_k1z_ymm_ymmm256b64
        EVEX_Vpmaxsq_zmm_k1z_zmm_zmmm512b64];
    Vpminsq "VVM" [
        _ _ EVEX_Vpminsq_xmm_k1z_xmm_xmmm128b64 EVEX_Vpminsq_ymm_k1z_ymm_ymmm256b64
        EVEX_Vpminsq_zmm_k1z_zmm_zmmm512b64];
    Vpabsq "VM" [
        _ _ EVEX_Vpabsq_xmm_k1z_xmmm128b64 EVEX_Vpabsq_ymm_k1z_ymmm256b64
        EVEX_Vpabsq_zmm_k1z_zmmm512b64];
    Vpsllvq "VVM" [
        VEX_Vpsllvq_xmm_xmm_xmmm128 VEX_Vpsllvq_ymm_ymm_ymmm256 EVEX_Vpsllvq_xmm_k1z_xmm_xmmm128b64
        EVEX_Vpsllvq_ymm_k1z_ymm_ymmm256b64 EVEX_Vpsllvq_zmm_k1z_zmm_zmmm512b64];
    Vpsrlvq "VVM" [
        VEX_Vpsrlvq_xmm_xmm_xmmm128 VEX_Vpsrlvq_ymm_ymm_ymmm256 EVEX_Vpsrlvq_xmm_k1z_xmm_xmmm128b64
        EVEX_Vpsrlvq_ymm_k1z_ymm_ymmm256b64 EVEX_Vpsrlvq_zmm_k1z_zmm_zmmm512b64];
    Vpsravq "VVM" [
        _ _ EVEX_Vpsravq_xmm_k1z_xmm_xmmm128b64 EVEX_Vpsravq_ymm_k1z_ymm_ymmm256b64
        EVEX_Vpsravq_zmm_k1z_zmm_zmmm512b64];
    VpsllqImm "VM" imm [
        VEX_Vpsllq_xmm_xmm_imm8 VEX_Vpsllq_ymm_ymm_imm8 EVEX_Vpsllq_xmm_k1z_xmmm128b64_imm8
        EVEX_Vpsllq_ymm_k1z_ymmm256b64_imm8 EVEX_Vpsllq_zmm_k1z_zmmm512b64_imm8];
    VpsrlqImm "VM" imm [
        VEX_Vpsrlq_xmm_xmm_imm8 VEX_Vpsrlq_ymm_ymm_imm8 EVEX_Vpsrlq_xmm_k1z_xmmm128b64_imm8
        EVEX_Vpsrlq_ymm_k1z_ymmm256b64_imm8 EVEX_Vpsrlq_zmm_k1z_zmmm512b64_imm8];
    VpsraqImm "VM" imm [
        _ _ EVEX_Vpsraq_xmm_k1z_xmmm128b64_imm8 EVEX_Vpsraq_ymm_k1z_ymmm256b64_imm8
        EVEX_Vpsraq_zmm_k1z_zmmm512b64_imm8];
    Vpcmpeqq "VVM" [
        VEX_Vpcmpeqq_xmm_xmm_xmmm128 VEX_Vpcmpeqq_ymm_ymm_ymmm256 _ _ _];
    Vpcmpgtq "VVM" [
        VEX_Vpcmpgtq_xmm_xmm_xmmm128 VEX_Vpcmpgtq_ymm_ymm_ymmm256 _ _ _];
    VpcmpqK "KVM" imm [
        _ _ EVEX_Vpcmpq_kr_k1_xmm_xmmm128b64_imm8 EVEX_Vpcmpq_kr_k1_ymm_ymmm256b64_imm8
        EVEX_Vpcmpq_kr_k1_zmm_zmmm512b64_imm8];
    Vpmuludq "VVM" [
        VEX_Vpmuludq_xmm_xmm_xmmm128 VEX_Vpmuludq_ymm_ymm_ymmm256
        EVEX_Vpmuludq_xmm_k1z_xmm_xmmm128b64 EVEX_Vpmuludq_ymm_k1z_ymm_ymmm256b64
        EVEX_Vpmuludq_zmm_k1z_zmm_zmmm512b64];
    Vpblendd "VVM" imm [
        VEX_Vpblendd_xmm_xmm_xmmm128_imm8 VEX_Vpblendd_ymm_ymm_ymmm256_imm8 _ _ _];
    Vpackusdw "VVM" [
        VEX_Vpackusdw_xmm_xmm_xmmm128 VEX_Vpackusdw_ymm_ymm_ymmm256
        EVEX_Vpackusdw_xmm_k1z_xmm_xmmm128b32 EVEX_Vpackusdw_ymm_k1z_ymm_ymmm256b32
        EVEX_Vpackusdw_zmm_k1z_zmm_zmmm512b32];
    Vpackuswb "VVM" [
        VEX_Vpackuswb_xmm_xmm_xmmm128 VEX_Vpackuswb_ymm_ymm_ymmm256
        EVEX_Vpackuswb_xmm_k1z_xmm_xmmm128 EVEX_Vpackuswb_ymm_k1z_ymm_ymmm256
        EVEX_Vpackuswb_zmm_k1z_zmm_zmmm512];
    Vpshufd "VM" imm [
        VEX_Vpshufd_xmm_xmmm128_imm8 VEX_Vpshufd_ymm_ymmm256_imm8
        EVEX_Vpshufd_xmm_k1z_xmmm128b32_imm8 EVEX_Vpshufd_ymm_k1z_ymmm256b32_imm8
        EVEX_Vpshufd_zmm_k1z_zmmm512b32_imm8];
    Vpermq "VM" imm [
        _ VEX_Vpermq_ymm_ymmm256_imm8 _ EVEX_Vpermq_ymm_k1z_ymmm256b64_imm8
        EVEX_Vpermq_zmm_k1z_zmmm512b64_imm8];
    Vpmovsxbd "VQ" [
        VEX_Vpmovsxbd_xmm_xmmm32 VEX_Vpmovsxbd_ymm_xmmm64 EVEX_Vpmovsxbd_xmm_k1z_xmmm32
        EVEX_Vpmovsxbd_ymm_k1z_xmmm64 EVEX_Vpmovsxbd_zmm_k1z_xmmm128];
    Vpmovzxbd "VQ" [
        VEX_Vpmovzxbd_xmm_xmmm32 VEX_Vpmovzxbd_ymm_xmmm64 EVEX_Vpmovzxbd_xmm_k1z_xmmm32
        EVEX_Vpmovzxbd_ymm_k1z_xmmm64 EVEX_Vpmovzxbd_zmm_k1z_xmmm128];
    Vpmovsxwd "VH" [
        VEX_Vpmovsxwd_xmm_xmmm64 VEX_Vpmovsxwd_ymm_xmmm128 EVEX_Vpmovsxwd_xmm_k1z_xmmm64
        EVEX_Vpmovsxwd_ymm_k1z_xmmm128 EVEX_Vpmovsxwd_zmm_k1z_ymmm256];
    Vpmovzxwd "VH" [
        VEX_Vpmovzxwd_xmm_xmmm64 VEX_Vpmovzxwd_ymm_xmmm128 EVEX_Vpmovzxwd_xmm_k1z_xmmm64
        EVEX_Vpmovzxwd_ymm_k1z_xmmm128 EVEX_Vpmovzxwd_zmm_k1z_ymmm256];
    Vpmovsxdq "VH" [
        VEX_Vpmovsxdq_xmm_xmmm64 VEX_Vpmovsxdq_ymm_xmmm128 EVEX_Vpmovsxdq_xmm_k1z_xmmm64
        EVEX_Vpmovsxdq_ymm_k1z_xmmm128 EVEX_Vpmovsxdq_zmm_k1z_ymmm256];
    Vpmovdb "QV" [
        _ _ EVEX_Vpmovdb_xmmm32_k1z_xmm EVEX_Vpmovdb_xmmm64_k1z_ymm EVEX_Vpmovdb_xmmm128_k1z_zmm];
    Vpmovdw "HV" [
        _ _ EVEX_Vpmovdw_xmmm64_k1z_xmm EVEX_Vpmovdw_xmmm128_k1z_ymm EVEX_Vpmovdw_ymmm256_k1z_zmm];
    Vpmovqd "HV" [
        _ _ EVEX_Vpmovqd_xmmm64_k1z_xmm EVEX_Vpmovqd_xmmm128_k1z_ymm EVEX_Vpmovqd_ymmm256_k1z_zmm];
    Vcvtdq2ps "VM" [
        VEX_Vcvtdq2ps_xmm_xmmm128 VEX_Vcvtdq2ps_ymm_ymmm256 EVEX_Vcvtdq2ps_xmm_k1z_xmmm128b32
        EVEX_Vcvtdq2ps_ymm_k1z_ymmm256b32 EVEX_Vcvtdq2ps_zmm_k1z_zmmm512b32_er];
    Vcvttps2dq "VM" [
        VEX_Vcvttps2dq_xmm_xmmm128 VEX_Vcvttps2dq_ymm_ymmm256 EVEX_Vcvttps2dq_xmm_k1z_xmmm128b32
        EVEX_Vcvttps2dq_ymm_k1z_ymmm256b32 EVEX_Vcvttps2dq_zmm_k1z_zmmm512b32_sae];
    Vcvtdq2pd "VH" [
        VEX_Vcvtdq2pd_xmm_xmmm64 VEX_Vcvtdq2pd_ymm_xmmm128 EVEX_Vcvtdq2pd_xmm_k1z_xmmm64b32
        EVEX_Vcvtdq2pd_ymm_k1z_xmmm128b32 EVEX_Vcvtdq2pd_zmm_k1z_ymmm256b32_er];
    Vcvttpd2dq "hM" [
        VEX_Vcvttpd2dq_xmm_xmmm128 VEX_Vcvttpd2dq_xmm_ymmm256 EVEX_Vcvttpd2dq_xmm_k1z_xmmm128b64
        EVEX_Vcvttpd2dq_xmm_k1z_ymmm256b64 EVEX_Vcvttpd2dq_ymm_k1z_zmmm512b64_sae];
    Vcvtps2pd "VH" [
        VEX_Vcvtps2pd_xmm_xmmm64 VEX_Vcvtps2pd_ymm_xmmm128 EVEX_Vcvtps2pd_xmm_k1z_xmmm64b32
        EVEX_Vcvtps2pd_ymm_k1z_xmmm128b32 EVEX_Vcvtps2pd_zmm_k1z_ymmm256b32_sae];
    Vcvtpd2ps "hM" [
        VEX_Vcvtpd2ps_xmm_xmmm128 VEX_Vcvtpd2ps_xmm_ymmm256 EVEX_Vcvtpd2ps_xmm_k1z_xmmm128b64
        EVEX_Vcvtpd2ps_xmm_k1z_ymmm256b64 EVEX_Vcvtpd2ps_ymm_k1z_zmmm512b64_er];
    Vcvtqq2pd "VM" [
        _ _ EVEX_Vcvtqq2pd_xmm_k1z_xmmm128b64 EVEX_Vcvtqq2pd_ymm_k1z_ymmm256b64
        EVEX_Vcvtqq2pd_zmm_k1z_zmmm512b64_er];
    Vcvtqq2ps "hM" [
        _ _ EVEX_Vcvtqq2ps_xmm_k1z_xmmm128b64 EVEX_Vcvtqq2ps_xmm_k1z_ymmm256b64
        EVEX_Vcvtqq2ps_ymm_k1z_zmmm512b64_er];
    Vcvttpd2qq "VM" [
        _ _ EVEX_Vcvttpd2qq_xmm_k1z_xmmm128b64 EVEX_Vcvttpd2qq_ymm_k1z_ymmm256b64
        EVEX_Vcvttpd2qq_zmm_k1z_zmmm512b64_sae];
    Vcvtph2ps "VH" [
        VEX_Vcvtph2ps_xmm_xmmm64 VEX_Vcvtph2ps_ymm_xmmm128 EVEX_Vcvtph2ps_xmm_k1z_xmmm64
        EVEX_Vcvtph2ps_ymm_k1z_xmmm128 EVEX_Vcvtph2ps_zmm_k1z_ymmm256_sae];
    Vcvtps2ph "HV" imm [
        VEX_Vcvtps2ph_xmmm64_xmm_imm8 VEX_Vcvtps2ph_xmmm128_ymm_imm8
        EVEX_Vcvtps2ph_xmmm64_k1z_xmm_imm8 EVEX_Vcvtps2ph_xmmm128_k1z_ymm_imm8
        EVEX_Vcvtps2ph_ymmm256_k1z_zmm_imm8_sae];
    Vbroadcastss "VS" [
        VEX_Vbroadcastss_xmm_m32 VEX_Vbroadcastss_ymm_m32 EVEX_Vbroadcastss_xmm_k1z_xmmm32
        EVEX_Vbroadcastss_ymm_k1z_xmmm32 EVEX_Vbroadcastss_zmm_k1z_xmmm32];
    Vbroadcastsd "VD" [
        _ VEX_Vbroadcastsd_ymm_m64 _ EVEX_Vbroadcastsd_ymm_k1z_xmmm64
        EVEX_Vbroadcastsd_zmm_k1z_xmmm64];
    Vpbroadcastd "V4" [
        VEX_Vpbroadcastd_xmm_xmmm32 VEX_Vpbroadcastd_ymm_xmmm32 EVEX_Vpbroadcastd_xmm_k1z_xmmm32
        EVEX_Vpbroadcastd_ymm_k1z_xmmm32 EVEX_Vpbroadcastd_zmm_k1z_xmmm32];
    Vpbroadcastq "V8" [
        VEX_Vpbroadcastq_xmm_xmmm64 VEX_Vpbroadcastq_ymm_xmmm64 EVEX_Vpbroadcastq_xmm_k1z_xmmm64
        EVEX_Vpbroadcastq_ymm_k1z_xmmm64 EVEX_Vpbroadcastq_zmm_k1z_xmmm64];
    VpbroadcastqGpr "VG" [
        _ _ EVEX_Vpbroadcastq_xmm_k1z_r64 EVEX_Vpbroadcastq_ymm_k1z_r64
        EVEX_Vpbroadcastq_zmm_k1z_r64];
    Vperm2i128 "VVM" imm [
        _ VEX_Vperm2i128_ymm_ymm_ymmm256_imm8 _ _ _];
    Vshufi64x2 "VVM" imm [
        _ _ _ EVEX_Vshufi64x2_ymm_k1z_ymm_ymmm256b64_imm8
        EVEX_Vshufi64x2_zmm_k1z_zmm_zmmm512b64_imm8];
    Vextracti128 "PV" imm [
        _ VEX_Vextracti128_xmmm128_ymm_imm8 _ EVEX_Vextracti32x4_xmmm128_k1z_ymm_imm8
        EVEX_Vextracti32x4_xmmm128_k1z_zmm_imm8];
    Vinserti128 "VVP" imm [
        _ VEX_Vinserti128_ymm_ymm_xmmm128_imm8 _ EVEX_Vinserti32x4_ymm_k1z_ymm_xmmm128_imm8
        EVEX_Vinserti32x4_zmm_k1z_zmm_xmmm128_imm8];
    Vextracti256 "WV" imm [
        _ _ _ _ EVEX_Vextracti64x4_ymmm256_k1z_zmm_imm8];
    Vinserti256 "VVW" imm [
        _ _ _ _ EVEX_Vinserti64x4_zmm_k1z_zmm_ymmm256_imm8];
    Vptest "VM" [
        VEX_Vptest_xmm_xmmm128 VEX_Vptest_ymm_ymmm256 _ _ _];
    VmovssStore "mX" [
        VEX_Vmovss_m32_xmm _ EVEX_Vmovss_m32_k1_xmm _ _];
    Vcvtsi2ss "XXG" [
        VEX_Vcvtsi2ss_xmm_xmm_rm64 _ EVEX_Vcvtsi2ss_xmm_xmm_rm64_er _ _];
    VmovsdStore "mX" [
        VEX_Vmovsd_m64_xmm _ EVEX_Vmovsd_m64_k1_xmm _ _];
    Vcvttsd2si "GX" [
        VEX_Vcvttsd2si_r64_xmmm64 _ EVEX_Vcvttsd2si_r64_xmmm64_sae _ _];
    VmovdFromGpr "Xg" [
        VEX_Vmovd_xmm_rm32 _ EVEX_Vmovd_xmm_rm32 _ _];
    VmovqFromGpr "XG" [
        VEX_Vmovq_xmm_rm64 _ EVEX_Vmovq_xmm_rm64 _ _];
    Vpinsrb "XXg" imm [
        VEX_Vpinsrb_xmm_xmm_r32m8_imm8 _ EVEX_Vpinsrb_xmm_xmm_r32m8_imm8 _ _];
    Vpinsrw "XXg" imm [
        VEX_Vpinsrw_xmm_xmm_r32m16_imm8 _ EVEX_Vpinsrw_xmm_xmm_r32m16_imm8 _ _];
    Vpinsrd "XXg" imm [
        VEX_Vpinsrd_xmm_xmm_rm32_imm8 _ EVEX_Vpinsrd_xmm_xmm_rm32_imm8 _ _];
    Vpinsrq "XXG" imm [
        VEX_Vpinsrq_xmm_xmm_rm64_imm8 _ EVEX_Vpinsrq_xmm_xmm_rm64_imm8 _ _];
    KmovwFromGpr "Kg" [
        _ _ VEX_Kmovw_kr_r32 _ _];
    KmovwLoad "Km" [
        _ _ VEX_Kmovw_kr_km16 _ _];
    KmovwStore "mK" [
        _ _ VEX_Kmovw_m16_kr _ _];
    Kmovw "KK" [
        _ _ VEX_Kmovw_kr_km16 _ _];
    Kandw "KKK" [
        _ _ VEX_Kandw_kr_kr_kr _ _];
    Korw "KKK" [
        _ _ VEX_Korw_kr_kr_kr _ _];
    Kxorw "KKK" [
        _ _ VEX_Kxorw_kr_kr_kr _ _];
    Kunpckbw "KKK" [
        _ _ VEX_Kunpckbw_kr_kr_kr _ _];
    Knotw "KK" [
        _ _ VEX_Knotw_kr_kr _ _];
    Kortestw "KK" [
        _ _ VEX_Kortestw_kr_kr _ _];
    Kshiftrw "KK" imm [
        _ _ VEX_Kshiftrw_kr_kr_imm8 _ _];
}
