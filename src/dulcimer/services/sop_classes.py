"""The SOP classes of the Standard: UID, keyword and DIMSE operations (PS3.4, PS3.6 Annex A).

This is the one copy of these facts; :mod:`dulcimer.services.tables` groups them into service classes, and the
public :mod:`dulcimer.sop_class` and :mod:`dulcimer.presentation` are derived from it. Keywords are those that
programs for this API use; a few differ from today's PS3.6.

Plain tuples, so that importing them costs next to nothing.
"""

from __future__ import annotations

from typing import Final

Row = tuple[str, str, str]
"""Keyword, UID, operations separated by spaces."""


VERIFICATION: Final[tuple[Row, ...]] = (("Verification", "1.2.840.10008.1.1", "C-ECHO"),)

STORAGE: Final[tuple[Row, ...]] = (
    ("ComputedRadiographyImageStorage", "1.2.840.10008.5.1.4.1.1.1", "C-STORE"),
    ("DigitalXRayImageStorageForPresentation", "1.2.840.10008.5.1.4.1.1.1.1", "C-STORE"),
    ("DigitalXRayImageStorageForProcessing", "1.2.840.10008.5.1.4.1.1.1.1.1", "C-STORE"),
    ("DigitalMammographyXRayImageStorageForPresentation", "1.2.840.10008.5.1.4.1.1.1.2", "C-STORE"),
    ("DigitalMammographyXRayImageStorageForProcessing", "1.2.840.10008.5.1.4.1.1.1.2.1", "C-STORE"),
    ("DigitalIntraOralXRayImageStorageForPresentation", "1.2.840.10008.5.1.4.1.1.1.3", "C-STORE"),
    ("DigitalIntraOralXRayImageStorageForProcessing", "1.2.840.10008.5.1.4.1.1.1.3.1", "C-STORE"),
    ("CTImageStorage", "1.2.840.10008.5.1.4.1.1.2", "C-STORE"),
    ("EnhancedCTImageStorage", "1.2.840.10008.5.1.4.1.1.2.1", "C-STORE"),
    ("LegacyConvertedEnhancedCTImageStorage", "1.2.840.10008.5.1.4.1.1.2.2", "C-STORE"),
    ("UltrasoundMultiFrameImageStorage", "1.2.840.10008.5.1.4.1.1.3.1", "C-STORE"),
    ("MRImageStorage", "1.2.840.10008.5.1.4.1.1.4", "C-STORE"),
    ("EnhancedMRImageStorage", "1.2.840.10008.5.1.4.1.1.4.1", "C-STORE"),
    ("MRSpectroscopyStorage", "1.2.840.10008.5.1.4.1.1.4.2", "C-STORE"),
    ("EnhancedMRColorImageStorage", "1.2.840.10008.5.1.4.1.1.4.3", "C-STORE"),
    ("LegacyConvertedEnhancedMRImageStorage", "1.2.840.10008.5.1.4.1.1.4.4", "C-STORE"),
    ("UltrasoundImageStorage", "1.2.840.10008.5.1.4.1.1.6.1", "C-STORE"),
    ("EnhancedUSVolumeStorage", "1.2.840.10008.5.1.4.1.1.6.2", "C-STORE"),
    ("SecondaryCaptureImageStorage", "1.2.840.10008.5.1.4.1.1.7", "C-STORE"),
    ("MultiFrameSingleBitSecondaryCaptureImageStorage", "1.2.840.10008.5.1.4.1.1.7.1", "C-STORE"),
    ("MultiFrameGrayscaleByteSecondaryCaptureImageStorage", "1.2.840.10008.5.1.4.1.1.7.2", "C-STORE"),
    ("MultiFrameGrayscaleWordSecondaryCaptureImageStorage", "1.2.840.10008.5.1.4.1.1.7.3", "C-STORE"),
    ("MultiFrameTrueColorSecondaryCaptureImageStorage", "1.2.840.10008.5.1.4.1.1.7.4", "C-STORE"),
    ("TwelveLeadECGWaveformStorage", "1.2.840.10008.5.1.4.1.1.9.1.1", "C-STORE"),
    ("GeneralECGWaveformStorage", "1.2.840.10008.5.1.4.1.1.9.1.2", "C-STORE"),
    ("AmbulatoryECGWaveformStorage", "1.2.840.10008.5.1.4.1.1.9.1.3", "C-STORE"),
    ("HemodynamicWaveformStorage", "1.2.840.10008.5.1.4.1.1.9.2.1", "C-STORE"),
    ("CardiacElectrophysiologyWaveformStorage", "1.2.840.10008.5.1.4.1.1.9.3.1", "C-STORE"),
    ("BasicVoiceAudioWaveformStorage", "1.2.840.10008.5.1.4.1.1.9.4.1", "C-STORE"),
    ("GeneralAudioWaveformStorage", "1.2.840.10008.5.1.4.1.1.9.4.2", "C-STORE"),
    ("ArterialPulseWaveformStorage", "1.2.840.10008.5.1.4.1.1.9.5.1", "C-STORE"),
    ("RespiratoryWaveformStorage", "1.2.840.10008.5.1.4.1.1.9.6.1", "C-STORE"),
    ("GrayscaleSoftcopyPresentationStateStorage", "1.2.840.10008.5.1.4.1.1.11.1", "C-STORE"),
    ("ColorSoftcopyPresentationStateStorage", "1.2.840.10008.5.1.4.1.1.11.2", "C-STORE"),
    ("PseudoColorSoftcopyPresentationStageStorage", "1.2.840.10008.5.1.4.1.1.11.3", "C-STORE"),
    ("BlendingSoftcopyPresentationStateStorage", "1.2.840.10008.5.1.4.1.1.11.4", "C-STORE"),
    ("XAXRFGrayscaleSoftcopyPresentationStateStorage", "1.2.840.10008.5.1.4.1.1.11.5", "C-STORE"),
    ("XRayAngiographicImageStorage", "1.2.840.10008.5.1.4.1.1.12.1", "C-STORE"),
    ("EnhancedXAImageStorage", "1.2.840.10008.5.1.4.1.1.12.1.1", "C-STORE"),
    ("XRayRadiofluoroscopicImageStorage", "1.2.840.10008.5.1.4.1.1.12.2", "C-STORE"),
    ("EnhancedXRFImageStorage", "1.2.840.10008.5.1.4.1.1.12.2.1", "C-STORE"),
    ("XRay3DAngiographicImageStorage", "1.2.840.10008.5.1.4.1.1.13.1.1", "C-STORE"),
    ("XRay3DCraniofacialImageStorage", "1.2.840.10008.5.1.4.1.1.13.1.2", "C-STORE"),
    ("BreastTomosynthesisImageStorage", "1.2.840.10008.5.1.4.1.1.13.1.3", "C-STORE"),
    (
        "IntravascularOpticalCoherenceTomographyImageStorageForPresentation",
        "1.2.840.10008.5.1.4.1.1.14.1",
        "C-STORE",
    ),
    (
        "IntravascularOpticalCoherenceTomographyImageStorageForProcessing",
        "1.2.840.10008.5.1.4.1.1.14.2",
        "C-STORE",
    ),
    ("NuclearMedicineImageStorage", "1.2.840.10008.5.1.4.1.1.20", "C-STORE"),
    ("RawDataStorage", "1.2.840.10008.5.1.4.1.1.66", "C-STORE"),
    ("SpatialRegistrationStorage", "1.2.840.10008.5.1.4.1.1.66.1", "C-STORE"),
    ("SpatialFiducialsStorage", "1.2.840.10008.5.1.4.1.1.66.2", "C-STORE"),
    ("DeformableSpatialRegistrationStorage", "1.2.840.10008.5.1.4.1.1.66.3", "C-STORE"),
    ("SegmentationStorage", "1.2.840.10008.5.1.4.1.1.66.4", "C-STORE"),
    ("SurfaceSegmentationStorage", "1.2.840.10008.5.1.4.1.1.66.5", "C-STORE"),
    ("RealWorldValueMappingStorage", "1.2.840.10008.5.1.4.1.1.67", "C-STORE"),
    ("SurfaceScanMeshStorage", "1.2.840.10008.5.1.4.1.1.68.1", "C-STORE"),
    ("SurfaceScanPointCloudStorage", "1.2.840.10008.5.1.4.1.1.68.2", "C-STORE"),
    ("VLEndoscopicImageStorage", "1.2.840.10008.5.1.4.1.1.77.1.1", "C-STORE"),
    ("VideoEndoscopicImageStorage", "1.2.840.10008.5.1.4.1.1.77.1.1.1", "C-STORE"),
    ("VLMicroscopicImageStorage", "1.2.840.10008.5.1.4.1.1.77.1.2", "C-STORE"),
    ("VideoMicroscopicImageStorage", "1.2.840.10008.5.1.4.1.1.77.1.2.1", "C-STORE"),
    ("VLSlideCoordinatesMicroscopicImageStorage", "1.2.840.10008.5.1.4.1.1.77.1.3", "C-STORE"),
    ("VLPhotographicImageStorage", "1.2.840.10008.5.1.4.1.1.77.1.4", "C-STORE"),
    ("VideoPhotographicImageStorage", "1.2.840.10008.5.1.4.1.1.77.1.4.1", "C-STORE"),
    ("OphthalmicPhotography8BitImageStorage", "1.2.840.10008.5.1.4.1.1.77.1.5.1", "C-STORE"),
    ("OphthalmicPhotography16BitImageStorage", "1.2.840.10008.5.1.4.1.1.77.1.5.2", "C-STORE"),
    ("StereometricRelationshipStorage", "1.2.840.10008.5.1.4.1.1.77.1.5.3", "C-STORE"),
    ("OphthalmicTomographyImageStorage", "1.2.840.10008.5.1.4.1.1.77.1.5.4", "C-STORE"),
    ("VLWholeSlideMicroscopyImageStorage", "1.2.840.10008.5.1.4.1.1.77.1.6", "C-STORE"),
    ("LensometryMeasurementsStorage", "1.2.840.10008.5.1.4.1.1.78.1", "C-STORE"),
    ("AutorefractionMeasurementsStorage", "1.2.840.10008.5.1.4.1.1.78.2", "C-STORE"),
    ("KeratometryMeasurementsStorage", "1.2.840.10008.5.1.4.1.1.78.3", "C-STORE"),
    ("SubjectiveRefractionMeasurementsStorage", "1.2.840.10008.5.1.4.1.1.78.4", "C-STORE"),
    ("VisualAcuityMeasurementsStorage", "1.2.840.10008.5.1.4.1.1.78.5", "C-STORE"),
    ("SpectaclePrescriptionReportStorage", "1.2.840.10008.5.1.4.1.1.78.6", "C-STORE"),
    ("OphthalmicAxialMeasurementsStorage", "1.2.840.10008.5.1.4.1.1.78.7", "C-STORE"),
    ("IntraocularLensCalculationsStorage", "1.2.840.10008.5.1.4.1.1.78.8", "C-STORE"),
    ("MacularGridThicknessAndVolumeReportStorage", "1.2.840.10008.5.1.4.1.1.79.1", "C-STORE"),
    ("OphthalmicVisualFieldStaticPerimetryMeasurementsStorage", "1.2.840.10008.5.1.4.1.1.80.1", "C-STORE"),
    ("OphthalmicThicknessMapStorage", "1.2.840.10008.5.1.4.1.1.81.1", "C-STORE"),
    ("BasicTextSRStorage", "1.2.840.10008.5.1.4.1.1.88.11", "C-STORE"),
    ("EnhancedSRStorage", "1.2.840.10008.5.1.4.1.1.88.22", "C-STORE"),
    ("ComprehensiveSRStorage", "1.2.840.10008.5.1.4.1.1.88.33", "C-STORE"),
    ("Comprehensive3DSRStorage", "1.2.840.10008.5.1.4.1.1.88.34", "C-STORE"),
    ("ProcedureLogStorage", "1.2.840.10008.5.1.4.1.1.88.40", "C-STORE"),
    ("MammographyCADSRStorage", "1.2.840.10008.5.1.4.1.1.88.50", "C-STORE"),
    ("KeyObjectSelectionDocumentStorage", "1.2.840.10008.5.1.4.1.1.88.59", "C-STORE"),
    ("ChestCADSRStorage", "1.2.840.10008.5.1.4.1.1.88.65", "C-STORE"),
    ("XRayRadiationDoseSRStorage", "1.2.840.10008.5.1.4.1.1.88.67", "C-STORE"),
    ("ColonCADSRStorage", "1.2.840.10008.5.1.4.1.1.88.69", "C-STORE"),
    ("ImplantationPlanSRStorage", "1.2.840.10008.5.1.4.1.1.88.70", "C-STORE"),
    ("EncapsulatedPDFStorage", "1.2.840.10008.5.1.4.1.1.104.1", "C-STORE"),
    ("EncapsulatedCDAStorage", "1.2.840.10008.5.1.4.1.1.104.2", "C-STORE"),
    ("PositronEmissionTomographyImageStorage", "1.2.840.10008.5.1.4.1.1.128", "C-STORE"),
    ("LegacyConvertedEnhancedPETImageStorage", "1.2.840.10008.5.1.4.1.1.128.1", "C-STORE"),
    ("EnhancedPETImageStorage", "1.2.840.10008.5.1.4.1.1.130", "C-STORE"),
    ("BasicStructuredDisplayStorage", "1.2.840.10008.5.1.4.1.1.131", "C-STORE"),
    ("RTImageStorage", "1.2.840.10008.5.1.4.1.1.481.1", "C-STORE"),
    ("RTDoseStorage", "1.2.840.10008.5.1.4.1.1.481.2", "C-STORE"),
    ("RTStructureSetStorage", "1.2.840.10008.5.1.4.1.1.481.3", "C-STORE"),
    ("RTBeamsTreatmentRecordStorage", "1.2.840.10008.5.1.4.1.1.481.4", "C-STORE"),
    ("RTPlanStorage", "1.2.840.10008.5.1.4.1.1.481.5", "C-STORE"),
    ("RTBrachyTreatmentRecordStorage", "1.2.840.10008.5.1.4.1.1.481.6", "C-STORE"),
    ("RTTreatmentSummaryRecordStorage", "1.2.840.10008.5.1.4.1.1.481.7", "C-STORE"),
    ("RTIonPlanStorage", "1.2.840.10008.5.1.4.1.1.481.8", "C-STORE"),
    ("RTIonBeamsTreatmentRecordStorage", "1.2.840.10008.5.1.4.1.1.481.9", "C-STORE"),
    ("RTBeamsDeliveryInstructionStorage", "1.2.840.10008.5.1.4.34.7", "C-STORE"),
)
"""Storage SOP classes in general use."""

STORAGE_SPECIALIZED: Final[tuple[Row, ...]] = (
    ("PhotoacousticImageStorage", "1.2.840.10008.5.1.4.1.1.6.3", "C-STORE"),
    ("General32bitECGWaveformStorage", "1.2.840.10008.5.1.4.1.1.9.1.4", "C-STORE"),
    ("MultichannelRespiratoryWaveformStorage", "1.2.840.10008.5.1.4.1.1.9.6.2", "C-STORE"),
    ("RoutineScalpElectroencephalogramWaveformStorage", "1.2.840.10008.5.1.4.1.1.9.7.1", "C-STORE"),
    ("ElectromyogramWaveformStorage", "1.2.840.10008.5.1.4.1.1.9.7.2", "C-STORE"),
    ("ElectrooculogramWaveformStorage", "1.2.840.10008.5.1.4.1.1.9.7.3", "C-STORE"),
    ("SleepElectroencephalogramWaveformStorage", "1.2.840.10008.5.1.4.1.1.9.7.4", "C-STORE"),
    ("BodyPositionWaveformStorage", "1.2.840.10008.5.1.4.1.1.9.8.1", "C-STORE"),
    ("WaveformPresentationStateStorage", "1.2.840.10008.5.1.4.1.1.9.100.1", "C-STORE"),
    ("WaveformAcquisitionPresentationStateStorage", "1.2.840.10008.5.1.4.1.1.9.100.2", "C-STORE"),
    ("GrayscalePlanarMPRVolumetricPresentationStateStorage", "1.2.840.10008.5.1.4.1.1.11.6", "C-STORE"),
    ("CompositingPlanarMPRVolumetricPresentationStateStorage", "1.2.840.10008.5.1.4.1.1.11.7", "C-STORE"),
    ("AdvancedBlendingPresentationStateStorage", "1.2.840.10008.5.1.4.1.1.11.8", "C-STORE"),
    ("VolumeRenderingVolumetricPresentationStateStorage", "1.2.840.10008.5.1.4.1.1.11.9", "C-STORE"),
    (
        "SegmentedVolumeRenderingVolumetricPresentationStateStorage",
        "1.2.840.10008.5.1.4.1.1.11.10",
        "C-STORE",
    ),
    ("MultipleVolumeRenderingVolumetricPresentationStateStorage", "1.2.840.10008.5.1.4.1.1.11.11", "C-STORE"),
    ("VariableModalityLUTSoftcopyPresentationStageStorage", "1.2.840.10008.5.1.4.1.1.11.12", "C-STORE"),
    ("BreastProjectionXRayImageStorageForPresentation", "1.2.840.10008.5.1.4.1.1.13.1.4", "C-STORE"),
    ("BreastProjectionXRayImageStorageForProcessing", "1.2.840.10008.5.1.4.1.1.13.1.5", "C-STORE"),
    ("ParametricMapStorage", "1.2.840.10008.5.1.4.1.1.30", "C-STORE"),
    ("TractographyResultsStorage", "1.2.840.10008.5.1.4.1.1.66.6", "C-STORE"),
    ("LabelMapSegmentationStorage", "1.2.840.10008.5.1.4.1.1.66.7", "C-STORE"),
    ("HeightMapSegmentationStorage", "1.2.840.10008.5.1.4.1.1.66.8", "C-STORE"),
    (
        "WideFieldOphthalmicPhotographyStereographicProjectionImageStorage",
        "1.2.840.10008.5.1.4.1.1.77.1.5.5",
        "C-STORE",
    ),
    (
        "WideFieldOphthalmicPhotography3DCoordinatesImageStorage",
        "1.2.840.10008.5.1.4.1.1.77.1.5.6",
        "C-STORE",
    ),
    ("OphthalmicOpticalCoherenceTomographyEnFaceImageStorage", "1.2.840.10008.5.1.4.1.1.77.1.5.7", "C-STORE"),
    (
        "OphthlamicOpticalCoherenceTomographyBscanVolumeAnalysisStorage",
        "1.2.840.10008.5.1.4.1.1.77.1.5.8",
        "C-STORE",
    ),
    ("DermoscopicPhotographyImageStorage", "1.2.840.10008.5.1.4.1.1.77.1.7", "C-STORE"),
    ("ConfocalMicroscopyImageStorage", "1.2.840.10008.5.1.4.1.1.77.1.8", "C-STORE"),
    ("ConfocalMicroscopyTiledPyramidalImageStorage", "1.2.840.10008.5.1.4.1.1.77.1.9", "C-STORE"),
    ("CornealTopographyMapStorage", "1.2.840.10008.5.1.4.1.1.82.1", "C-STORE"),
    ("ExtensibleSRStorage", "1.2.840.10008.5.1.4.1.1.88.35", "C-STORE"),
    ("RadiopharmaceuticalRadiationDoseSRStorage", "1.2.840.10008.5.1.4.1.1.88.68", "C-STORE"),
    ("AcquisitionContextSRStorage", "1.2.840.10008.5.1.4.1.1.88.71", "C-STORE"),
    ("SimplifiedAdultEchoSRStorage", "1.2.840.10008.5.1.4.1.1.88.72", "C-STORE"),
    ("PatientRadiationDoseSRStorage", "1.2.840.10008.5.1.4.1.1.88.73", "C-STORE"),
    ("PlannedImagingAgentAdministrationSRStorage", "1.2.840.10008.5.1.4.1.1.88.74", "C-STORE"),
    ("PerformedImagingAgentAdministrationSRStorage", "1.2.840.10008.5.1.4.1.1.88.75", "C-STORE"),
    ("EnhancedXRayRadiationDoseSRStorage", "1.2.840.10008.5.1.4.1.1.88.76", "C-STORE"),
    ("WaveformAnnotationSRStorage", "1.2.840.10008.5.1.4.1.1.88.77", "C-STORE"),
    ("ContentAssessmentResultsStorage", "1.2.840.10008.5.1.4.1.1.90.1", "C-STORE"),
    ("MicroscopyBulkSimpleAnnotationsStorage", "1.2.840.10008.5.1.4.1.1.91.1", "C-STORE"),
    ("EncapsulatedSTLStorage", "1.2.840.10008.5.1.4.1.1.104.3", "C-STORE"),
    ("EncapsulatedOBJStorage", "1.2.840.10008.5.1.4.1.1.104.4", "C-STORE"),
    ("EncapsulatedMTLStorage", "1.2.840.10008.5.1.4.1.1.104.5", "C-STORE"),
    ("CTPerformedProcedureProtocolStorage", "1.2.840.10008.5.1.4.1.1.200.2", "C-STORE"),
    ("XAPerformedProcedureProtocolStorage", "1.2.840.10008.5.1.4.1.1.200.8", "C-STORE"),
    ("RTPhysicianIntentStorage", "1.2.840.10008.5.1.4.1.1.481.10", "C-STORE"),
    ("RTSegmentAnnotationStorage", "1.2.840.10008.5.1.4.1.1.481.11", "C-STORE"),
    ("RTRadiationSetStorage", "1.2.840.10008.5.1.4.1.1.481.12", "C-STORE"),
    ("CArmPhotonElectronRadiationStorage", "1.2.840.10008.5.1.4.1.1.481.13", "C-STORE"),
    ("TomotherapeuticRadiationStorage", "1.2.840.10008.5.1.4.1.1.481.14", "C-STORE"),
    ("RoboticArmRadiationStorage", "1.2.840.10008.5.1.4.1.1.481.15", "C-STORE"),
    ("RTRadiationRecordSetStorage", "1.2.840.10008.5.1.4.1.1.481.16", "C-STORE"),
    ("RTRadiationSalvageRecordStorage", "1.2.840.10008.5.1.4.1.1.481.17", "C-STORE"),
    ("TomotherapeuticRadiationRecordStorage", "1.2.840.10008.5.1.4.1.1.481.18", "C-STORE"),
    ("CArmPhotonElectronRadiationRecordStorage", "1.2.840.10008.5.1.4.1.1.481.19", "C-STORE"),
    ("RoboticArmRadiationRecordStorage", "1.2.840.10008.5.1.4.1.1.481.20", "C-STORE"),
    ("RTRadiationSetDeliveryInstructionStorage", "1.2.840.10008.5.1.4.1.1.481.21", "C-STORE"),
    ("RTTreatmentPreparationStorage", "1.2.840.10008.5.1.4.1.1.481.22", "C-STORE"),
    ("EnhancedRTImageStorage", "1.2.840.10008.5.1.4.1.1.481.23", "C-STORE"),
    ("EnhancedContinuousRTImageStorage", "1.2.840.10008.5.1.4.1.1.481.24", "C-STORE"),
    ("RTPatientPositionAcquisitionInstructionStorage", "1.2.840.10008.5.1.4.1.1.481.25", "C-STORE"),
    ("RTBrachyApplicationSetupDeliveryInstructionsStorage", "1.2.840.10008.5.1.4.34.10", "C-STORE"),
)
"""Further storage SOP classes; too many to propose together with :data:`STORAGE` in one association."""

STORAGE_RETIRED: Final[tuple[Row, ...]] = (
    ("StoredPrintStorage", "1.2.840.10008.5.1.1.27", "C-STORE"),
    ("HardcopyGrayscaleImageStorage", "1.2.840.10008.5.1.1.29", "C-STORE"),
    ("HardcopyColorImageStorage", "1.2.840.10008.5.1.1.30", "C-STORE"),
    ("UltrasoundMultiFrameImageStorageRetired", "1.2.840.10008.5.1.4.1.1.3", "C-STORE"),
    ("NuclearMedicineImageStorageRetired", "1.2.840.10008.5.1.4.1.1.5", "C-STORE"),
    ("UltrasoundImageStorageRetired", "1.2.840.10008.5.1.4.1.1.6", "C-STORE"),
    ("StandaloneOverlayStorage", "1.2.840.10008.5.1.4.1.1.8", "C-STORE"),
    ("StandaloneCurveStorage", "1.2.840.10008.5.1.4.1.1.9", "C-STORE"),
    ("StandaloneModalityLUTStorage", "1.2.840.10008.5.1.4.1.1.10", "C-STORE"),
    ("StandaloneVOILUTStorage", "1.2.840.10008.5.1.4.1.1.11", "C-STORE"),
    ("XRayAngiographicBiPlaneImageStorage", "1.2.840.10008.5.1.4.1.1.12.3", "C-STORE"),
    ("VLImageStorageTrial", "1.2.840.10008.5.1.4.1.1.77.1", "C-STORE"),
    ("VLMultiFrameImageStorageTrial", "1.2.840.10008.5.1.4.1.1.77.2", "C-STORE"),
    ("StandalonePETCurveStorage", "1.2.840.10008.5.1.4.1.1.129", "C-STORE"),
)
"""Retired storage SOP classes that old modalities still send."""

STORAGE_OTHER: Final[tuple[Row, ...]] = (
    ("WaveformStorageTrial", "1.2.840.10008.5.1.4.1.1.9.1", "C-STORE"),
    ("TextSRStorageTrial", "1.2.840.10008.5.1.4.1.1.88.1", "C-STORE"),
    ("AudioSRStorageTrial", "1.2.840.10008.5.1.4.1.1.88.2", "C-STORE"),
    ("DetailSRStorageTrial", "1.2.840.10008.5.1.4.1.1.88.3", "C-STORE"),
    ("ComprehensiveSRStorageTrial", "1.2.840.10008.5.1.4.1.1.88.4", "C-STORE"),
    ("DICOSCTImageStorage", "1.2.840.10008.5.1.4.1.1.501.1", "C-STORE"),
    ("DICOSDigitalXRayImageStorageForPresentation", "1.2.840.10008.5.1.4.1.1.501.2.1", "C-STORE"),
    ("DICOSDigitalXRayImageStorageForProcessing", "1.2.840.10008.5.1.4.1.1.501.2.2", "C-STORE"),
    ("DICOSThreatDetectionReportStorage", "1.2.840.10008.5.1.4.1.1.501.3", "C-STORE"),
    ("DICOS2DAITStorage", "1.2.840.10008.5.1.4.1.1.501.4", "C-STORE"),
    ("DICOS3DAITStorage", "1.2.840.10008.5.1.4.1.1.501.5", "C-STORE"),
    ("DICOSQuadrupoleResonanceStorage", "1.2.840.10008.5.1.4.1.1.501.6", "C-STORE"),
    ("EddyCurrentImageStorage", "1.2.840.10008.5.1.4.1.1.601.1", "C-STORE"),
    ("EddyCurrentMultiFrameImageStorage", "1.2.840.10008.5.1.4.1.1.601.2", "C-STORE"),
    ("RTBeamsDeliveryInstructionStorageTrial", "1.2.840.10008.5.1.4.34.1", "C-STORE"),
)
"""Storage SOP classes outside medicine, trial ones, and retired ones that are rarely met."""

QR: Final[tuple[Row, ...]] = (
    ("PatientRootQueryRetrieveInformationModelFind", "1.2.840.10008.5.1.4.1.2.1.1", "C-FIND"),
    ("PatientRootQueryRetrieveInformationModelMove", "1.2.840.10008.5.1.4.1.2.1.2", "C-MOVE"),
    ("PatientRootQueryRetrieveInformationModelGet", "1.2.840.10008.5.1.4.1.2.1.3", "C-GET"),
    ("StudyRootQueryRetrieveInformationModelFind", "1.2.840.10008.5.1.4.1.2.2.1", "C-FIND"),
    ("StudyRootQueryRetrieveInformationModelMove", "1.2.840.10008.5.1.4.1.2.2.2", "C-MOVE"),
    ("StudyRootQueryRetrieveInformationModelGet", "1.2.840.10008.5.1.4.1.2.2.3", "C-GET"),
    ("PatientStudyOnlyQueryRetrieveInformationModelFind", "1.2.840.10008.5.1.4.1.2.3.1", "C-FIND"),
    ("PatientStudyOnlyQueryRetrieveInformationModelMove", "1.2.840.10008.5.1.4.1.2.3.2", "C-MOVE"),
    ("PatientStudyOnlyQueryRetrieveInformationModelGet", "1.2.840.10008.5.1.4.1.2.3.3", "C-GET"),
    ("CompositeInstanceRootRetrieveMove", "1.2.840.10008.5.1.4.1.2.4.2", "C-MOVE"),
    ("CompositeInstanceRootRetrieveGet", "1.2.840.10008.5.1.4.1.2.4.3", "C-GET"),
    ("CompositeInstanceRetrieveWithoutBulkDataGet", "1.2.840.10008.5.1.4.1.2.5.3", "C-GET"),
    ("RepositoryQuery", "1.2.840.10008.5.1.4.1.1.201.6", "C-FIND"),
)

PROCEDURE_STEP: Final[tuple[Row, ...]] = (
    ("ModalityPerformedProcedureStep", "1.2.840.10008.3.1.2.3.3", "N-CREATE N-SET"),
    ("ModalityPerformedProcedureStepRetrieve", "1.2.840.10008.3.1.2.3.4", "N-GET"),
    ("ModalityPerformedProcedureStepNotification", "1.2.840.10008.3.1.2.3.5", "N-EVENT-REPORT"),
)

PRINT_MANAGEMENT: Final[tuple[Row, ...]] = (
    ("BasicFilmSession", "1.2.840.10008.5.1.1.1", "N-ACTION N-CREATE N-DELETE N-SET"),
    ("BasicFilmBox", "1.2.840.10008.5.1.1.2", "N-ACTION N-CREATE N-DELETE N-SET"),
    ("BasicGrayscaleImageBox", "1.2.840.10008.5.1.1.4", "N-SET"),
    ("BasicColorImageBox", "1.2.840.10008.5.1.1.4.1", "N-SET"),
    ("PrintJob", "1.2.840.10008.5.1.1.14", "N-EVENT-REPORT N-GET"),
    ("BasicAnnotationBox", "1.2.840.10008.5.1.1.15", "N-SET"),
    ("Printer", "1.2.840.10008.5.1.1.16", "N-EVENT-REPORT N-GET"),
    ("PrinterConfigurationRetrieval", "1.2.840.10008.5.1.1.16.376", "N-GET"),
    ("PresentationLUT", "1.2.840.10008.5.1.1.23", "N-CREATE N-DELETE"),
    (
        "BasicGrayscalePrintManagementMeta",
        "1.2.840.10008.5.1.1.9",
        "N-ACTION N-CREATE N-DELETE N-EVENT-REPORT N-GET N-SET",
    ),
    (
        "BasicColorPrintManagementMeta",
        "1.2.840.10008.5.1.1.18",
        "N-ACTION N-CREATE N-DELETE N-EVENT-REPORT N-GET N-SET",
    ),
)

MEDIA_STORAGE: Final[tuple[Row, ...]] = (("MediaStorageDirectoryStorage", "1.2.840.10008.1.3.10", ""),)

STORAGE_COMMITMENT: Final[tuple[Row, ...]] = (
    ("StorageCommitmentPushModel", "1.2.840.10008.1.20.1", "N-ACTION N-EVENT-REPORT"),
)

BASIC_WORKLIST: Final[tuple[Row, ...]] = (
    ("ModalityWorklistInformationFind", "1.2.840.10008.5.1.4.31", "C-FIND"),
)

APPLICATION_EVENT: Final[tuple[Row, ...]] = (
    ("ProceduralEventLogging", "1.2.840.10008.1.40", "N-ACTION"),
    ("SubstanceAdministrationLogging", "1.2.840.10008.1.42", "N-ACTION"),
)

RELEVANT_PATIENT_QUERY: Final[tuple[Row, ...]] = (
    ("GeneralRelevantPatientInformationQuery", "1.2.840.10008.5.1.4.37.1", "C-FIND"),
    ("BreastImagingRelevantPatientInformationQuery", "1.2.840.10008.5.1.4.37.2", "C-FIND"),
    ("CardiacRelevantPatientInformationQuery", "1.2.840.10008.5.1.4.37.3", "C-FIND"),
)

INSTANCE_AVAILABILITY: Final[tuple[Row, ...]] = (
    ("InstanceAvailabilityNotification", "1.2.840.10008.5.1.4.33", "N-CREATE"),
)

MEDIA_CREATION: Final[tuple[Row, ...]] = (
    ("MediaCreationManagement", "1.2.840.10008.5.1.1.33", "N-ACTION N-CREATE N-GET"),
)

HANGING_PROTOCOL: Final[tuple[Row, ...]] = (
    ("HangingProtocolInformationModelFind", "1.2.840.10008.5.1.4.38.2", "C-FIND"),
    ("HangingProtocolInformationModelMove", "1.2.840.10008.5.1.4.38.3", "C-MOVE"),
    ("HangingProtocolInformationModelGet", "1.2.840.10008.5.1.4.38.4", "C-GET"),
)

SUBSTANCE_ADMINISTRATION: Final[tuple[Row, ...]] = (
    ("ProductCharacteristicsQuery", "1.2.840.10008.5.1.4.41", "C-FIND"),
    ("SubstanceApprovalQuery", "1.2.840.10008.5.1.4.42", "C-FIND"),
)

COLOR_PALETTE: Final[tuple[Row, ...]] = (
    ("ColorPaletteInformationModelFind", "1.2.840.10008.5.1.4.39.2", "C-FIND"),
    ("ColorPaletteInformationModelMove", "1.2.840.10008.5.1.4.39.3", "C-MOVE"),
    ("ColorPaletteInformationModelGet", "1.2.840.10008.5.1.4.39.4", "C-GET"),
)

IMPLANT_TEMPLATE: Final[tuple[Row, ...]] = (
    ("GenericImplantTemplateInformationModelFind", "1.2.840.10008.5.1.4.43.2", "C-FIND"),
    ("GenericImplantTemplateInformationModelMove", "1.2.840.10008.5.1.4.43.3", "C-MOVE"),
    ("GenericImplantTemplateInformationModelGet", "1.2.840.10008.5.1.4.43.4", "C-GET"),
    ("ImplantAssemblyTemplateInformationModelFind", "1.2.840.10008.5.1.4.44.2", "C-FIND"),
    ("ImplantAssemblyTemplateInformationModelMove", "1.2.840.10008.5.1.4.44.3", "C-MOVE"),
    ("ImplantAssemblyTemplateInformationModelGet", "1.2.840.10008.5.1.4.44.4", "C-GET"),
    ("ImplantTemplateGroupInformationModelFind", "1.2.840.10008.5.1.4.45.2", "C-FIND"),
    ("ImplantTemplateGroupInformationModelMove", "1.2.840.10008.5.1.4.45.3", "C-MOVE"),
    ("ImplantTemplateGroupInformationModelGet", "1.2.840.10008.5.1.4.45.4", "C-GET"),
)

UNIFIED_PROCEDURE_STEP: Final[tuple[Row, ...]] = (
    ("UnifiedProcedureStepPush", "1.2.840.10008.5.1.4.34.6.1", "N-ACTION N-CREATE N-GET"),
    ("UnifiedProcedureStepWatch", "1.2.840.10008.5.1.4.34.6.2", "C-FIND N-ACTION N-GET"),
    ("UnifiedProcedureStepPull", "1.2.840.10008.5.1.4.34.6.3", "C-FIND N-ACTION N-GET N-SET"),
    ("UnifiedProcedureStepEvent", "1.2.840.10008.5.1.4.34.6.4", "N-EVENT-REPORT"),
    ("UnifiedProcedureStepQuery", "1.2.840.10008.5.1.4.34.6.5", "C-FIND"),
)

RT_MACHINE_VERIFICATION: Final[tuple[Row, ...]] = (
    (
        "RTConventionalMachineVerification",
        "1.2.840.10008.5.1.4.34.8",
        "N-ACTION N-CREATE N-DELETE N-EVENT-REPORT N-GET N-SET",
    ),
    (
        "RTIonMachineVerification",
        "1.2.840.10008.5.1.4.34.9",
        "N-ACTION N-CREATE N-DELETE N-EVENT-REPORT N-GET N-SET",
    ),
)

DISPLAY_SYSTEM: Final[tuple[Row, ...]] = (("DisplaySystem", "1.2.840.10008.5.1.1.40", "N-GET"),)

DEFINED_PROCEDURE: Final[tuple[Row, ...]] = (
    ("DefinedProcedureProtocolInformationModelFind", "1.2.840.10008.5.1.4.20.1", "C-FIND"),
    ("DefinedProcedureProtocolInformationModelMove", "1.2.840.10008.5.1.4.20.2", "C-MOVE"),
    ("DefinedProcedureProtocolInformationModelGet", "1.2.840.10008.5.1.4.20.3", "C-GET"),
)

NON_PATIENT_OBJECT: Final[tuple[Row, ...]] = (
    ("HangingProtocolStorage", "1.2.840.10008.5.1.4.38.1", "C-STORE"),
    ("ColorPaletteStorage", "1.2.840.10008.5.1.4.39.1", "C-STORE"),
    ("GenericImplantTemplateStorage", "1.2.840.10008.5.1.4.43.1", "C-STORE"),
    ("ImplantAssemblyTemplateStorage", "1.2.840.10008.5.1.4.44.1", "C-STORE"),
    ("ImplantTemplateGroupStorage", "1.2.840.10008.5.1.4.45.1", "C-STORE"),
    ("CTDefinedProcedureProtocolStorage", "1.2.840.10008.5.1.4.1.1.200.1", "C-STORE"),
    ("ProtocolApprovalStorage", "1.2.840.10008.5.1.4.1.1.200.3", "C-STORE"),
    ("XADefinedProcedureProtocolStorage", "1.2.840.10008.5.1.4.1.1.200.7", "C-STORE"),
    ("InventoryStorage", "1.2.840.10008.5.1.4.1.1.201.1", "C-STORE"),
)

PROTOCOL_APPROVAL: Final[tuple[Row, ...]] = (
    ("ProtocolApprovalInformationModelFind", "1.2.840.10008.5.1.4.1.1.200.4", "C-FIND"),
    ("ProtocolApprovalInformationModelMove", "1.2.840.10008.5.1.4.1.1.200.5", "C-MOVE"),
    ("ProtocolApprovalInformationModelGet", "1.2.840.10008.5.1.4.1.1.200.6", "C-GET"),
)

INVENTORY: Final[tuple[Row, ...]] = (
    ("InventoryFind", "1.2.840.10008.5.1.4.1.1.201.2", "C-FIND"),
    ("InventoryMove", "1.2.840.10008.5.1.4.1.1.201.3", "C-MOVE"),
    ("InventoryGet", "1.2.840.10008.5.1.4.1.1.201.4", "C-GET"),
)

STORAGE_MANAGEMENT: Final[tuple[Row, ...]] = (
    ("InventoryCreation", "1.2.840.10008.5.1.4.1.1.201.5", "N-ACTION N-EVENT-REPORT"),
)

OTHER: Final[tuple[Row, ...]] = (
    ("BasicStudyContentNotification", "1.2.840.10008.1.9", ""),
    ("StorageCommitmentPullModel", "1.2.840.10008.1.20.2", ""),
    ("DetachedPatientManagement", "1.2.840.10008.3.1.2.1.1", ""),
    ("DetachedPatientManagementMeta", "1.2.840.10008.3.1.2.1.4", ""),
    ("DetachedVisitManagement", "1.2.840.10008.3.1.2.2.1", ""),
    ("DetachedStudyManagement", "1.2.840.10008.3.1.2.3.1", ""),
    ("StudyComponentManagement", "1.2.840.10008.3.1.2.3.2", ""),
    ("DetachedResultsManagement", "1.2.840.10008.3.1.2.5.1", ""),
    ("DetachedResultsManagementMeta", "1.2.840.10008.3.1.2.5.4", ""),
    ("DetachedStudyManagementMeta", "1.2.840.10008.3.1.2.5.5", ""),
    ("DetachedInterpretationManagement", "1.2.840.10008.3.1.2.6.1", ""),
    ("ReferencedImageBox", "1.2.840.10008.5.1.1.4.2", ""),
    ("ReferencedGrayscalePrintManagementMeta", "1.2.840.10008.5.1.1.9.1", ""),
    ("ReferencedColorPrintManagementMeta", "1.2.840.10008.5.1.1.18.1", ""),
    ("VOILUTBox", "1.2.840.10008.5.1.1.22", ""),
    ("ImageOverlayBox", "1.2.840.10008.5.1.1.24", ""),
    ("BasicPrintImageOverlayBox", "1.2.840.10008.5.1.1.24.1", ""),
    ("PrintQueueManagement", "1.2.840.10008.5.1.1.26", ""),
    ("PullPrintRequest", "1.2.840.10008.5.1.1.31", ""),
    ("PullStoredPrintManagementMeta", "1.2.840.10008.5.1.1.32", ""),
    ("GeneralPurposeWorklistManagementMeta", "1.2.840.10008.5.1.4.32", ""),
    ("GeneralPurposeWorklistInformationModelFind", "1.2.840.10008.5.1.4.32.1", ""),
    ("GeneralPurposeScheduledProcedureStep", "1.2.840.10008.5.1.4.32.2", ""),
    ("GeneralPurposePerformedProcedureStep", "1.2.840.10008.5.1.4.32.3", ""),
    ("RTConventionalMachineVerificationTrial", "1.2.840.10008.5.1.4.34.2", ""),
    ("RTIonMachineVerificationTrial", "1.2.840.10008.5.1.4.34.3", ""),
    ("UnifiedProcedureStepPushTrial", "1.2.840.10008.5.1.4.34.4.1", ""),
    ("UnifiedProcedureStepWatchTrial", "1.2.840.10008.5.1.4.34.4.2", ""),
    ("UnifiedProcedureStepPullTrial", "1.2.840.10008.5.1.4.34.4.3", ""),
    ("UnifiedProcedureStepEventTrial", "1.2.840.10008.5.1.4.34.4.4", ""),
    ("VideoEndoscopicImageRealTimeCommunication", "1.2.840.10008.10.1", ""),
    ("VideoPhotographicImageRealTimeCommunication", "1.2.840.10008.10.2", ""),
    ("AudioWaveformRealTimeCommunication", "1.2.840.10008.10.3", ""),
    ("RenditionSelectionDocumentRealTimeCommunication", "1.2.840.10008.10.4", ""),
)
"""Known SOP classes that are not storage and that no service here provides: retired ones, and PS3.22."""

WELL_KNOWN_INSTANCES: Final[tuple[tuple[str, str], ...]] = (
    ("DisplaySystemInstance", "1.2.840.10008.5.1.1.40.1"),
    ("PrinterConfigurationRetrievalInstance", "1.2.840.10008.5.1.1.17.376"),
    ("PrinterInstance", "1.2.840.10008.5.1.1.17"),
    ("ProceduralEventLoggingInstance", "1.2.840.10008.1.40.1"),
    ("StorageCommitmentPushModelInstance", "1.2.840.10008.1.20.1.1"),
    ("StorageManagementInstance", "1.2.840.10008.5.1.4.1.1.201.1.1"),
    ("SubstanceAdministrationLoggingInstance", "1.2.840.10008.1.42.1"),
    ("UPSFilteredGlobalSubscriptionInstance", "1.2.840.10008.5.1.4.34.5.1"),
    ("UPSGlobalSubscriptionInstance", "1.2.840.10008.5.1.4.34.5"),
)
"""Well-known SOP Instances: keyword, UID."""
