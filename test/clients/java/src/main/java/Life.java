public final class Life { public static void main(String[] args) { System.out.println("ok"); } }
